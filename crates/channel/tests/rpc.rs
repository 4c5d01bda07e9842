//! One call over its attempts, stepped: who goes again, when, and who wins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{
    HedgingPolicy, MethodConfig, RetryPolicy, ThrottlingConfig,
    call::{AttemptId, End, Plan, Rpc, Seen, Throttle, Verdict},
};
use farcall_core::{Code, Metadata};

const SECOND: Duration = Duration::from_secs(1);
const FIRST: AttemptId = AttemptId(0);
const SECOND_ONE: AttemptId = AttemptId(1);
const THIRD: AttemptId = AttemptId(2);

/// A call and its clock.
struct Bench {
    rpc: Rpc,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(plan: Option<Box<Plan>>) -> Bench {
        let now = Instant::now();
        Bench { rpc: Rpc::new(plan), start: now, now }
    }

    fn retrying(max_attempts: u32, throttle: Option<&Arc<Throttle>>) -> Bench {
        let retry = Some(RetryPolicy {
            max_attempts,
            initial_backoff: SECOND,
            max_backoff: 3 * SECOND,
            multiplier: 2.0,
            codes: vec![Code::Unavailable, Code::Cancelled],
        });
        Bench::new(Plan::new(&Arc::new(MethodConfig { retry, ..MethodConfig::default() }), throttle, 1))
    }

    fn hedging(max_attempts: u32, delay: Duration, throttle: Option<&Arc<Throttle>>) -> Bench {
        let hedging = Some(HedgingPolicy { max_attempts, delay, codes: vec![Code::Unavailable] });
        Bench::new(Plan::new(&Arc::new(MethodConfig { hedging, ..MethodConfig::default() }), throttle, 1))
    }

    /// The attempts that begin now, each with the number of those before it.
    fn begin(&mut self) -> Vec<(u32, u32)> {
        std::iter::from_fn(|| self.rpc.attempt(self.now)).map(|attempt| (attempt.id.0, attempt.previous)).collect()
    }

    /// The same, at the next time-out.
    fn wait(&mut self) -> Vec<(u32, u32)> {
        self.now = self.rpc.poll_timeout().expect("a time-out");
        self.begin()
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn ended(&mut self, id: AttemptId, code: Code, completed: bool, seen: Seen, pushback: Option<&str>) -> Verdict {
        let mut trailers = Metadata::new();
        if let Some(text) = pushback {
            trailers.append("grpc-retry-pushback-ms", text).unwrap();
        }
        self.rpc.handle_ended(id, End { code, trailers: &trailers, completed, seen }, self.now)
    }

    /// The server has answered with this code.
    fn answered(&mut self, id: AttemptId, code: Code) -> Verdict {
        self.ended(id, code, true, Seen::Perhaps, None)
    }

    /// The server has failed it, and says when to come back.
    fn pushed_back(&mut self, id: AttemptId, pushback: &str) -> Verdict {
        self.ended(id, Code::Unavailable, true, Seen::Perhaps, Some(pushback))
    }

    /// It has failed without an answer.
    fn lost(&mut self, id: AttemptId, seen: Seen) -> Verdict {
        self.ended(id, Code::Unavailable, false, seen, None)
    }

    fn cancelled(&mut self) -> Vec<u32> {
        let mut ids: Vec<u32> = std::iter::from_fn(|| self.rpc.poll_cancel()).map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    }

    fn in_seconds(&self, seconds: f64) -> Verdict {
        Verdict::Again(self.now + Duration::from_secs_f64(seconds))
    }
}

fn throttle(max_tokens: u32) -> Arc<Throttle> {
    Arc::new(Throttle::new(ThrottlingConfig { max_tokens, thousandths_per_success: 500 }))
}

#[test]
fn a_call_without_a_plan_is_small() {
    assert!(size_of::<Rpc>() <= 3 * size_of::<usize>());
}

#[test]
fn a_call_without_a_plan_is_made_once() {
    for code in Code::ALL {
        let mut call = Bench::new(None);
        assert_eq!(call.begin(), [(0, 0)]);
        assert_eq!(call.answered(FIRST, code), Verdict::Deliver, "{code}");
        assert_eq!((call.begin(), call.rpc.poll_timeout()), (vec![], None));
        assert_eq!(call.answered(FIRST, code), Verdict::Lost, "it ends once");
    }
}

// Transparent retries.

#[test]
fn what_a_server_has_refused_goes_again_once_where_it_was() {
    let mut call = Bench::new(None);
    call.begin();
    assert_eq!(call.lost(FIRST, Seen::Refused), Verdict::Again(call.now));
    let again = call.rpc.attempt(call.now).unwrap();
    assert_eq!((again.id, again.previous, again.elsewhere), (SECOND_ONE, 0, false));
    assert_eq!(call.lost(SECOND_ONE, Seen::Refused), Verdict::Deliver);
}

#[test]
fn what_never_left_goes_each_time_elsewhere_and_does_not_count() {
    for mut call in [Bench::new(None), Bench::retrying(2, None), Bench::hedging(2, SECOND, None)] {
        for number in 0..100 {
            let attempt = call.rpc.attempt(call.now).unwrap();
            assert_eq!((attempt.previous, attempt.elsewhere), (0, number > 0));
            assert_eq!(call.lost(attempt.id, Seen::Never), Verdict::Again(call.now));
        }
        let attempt = call.rpc.attempt(call.now).unwrap();
        assert_eq!(call.lost(attempt.id, Seen::Refused), Verdict::Again(call.now));
        assert_eq!(call.begin(), [(101, 0)]);
    }
}

#[test]
fn what_may_have_been_seen_was_given_up_or_dropped_does_not_go_again() {
    for (code, seen) in [
        (Code::Unavailable, Seen::Perhaps),
        (Code::Unavailable, Seen::Dropped),
        (Code::Cancelled, Seen::Never),
        (Code::DeadlineExceeded, Seen::Refused),
        (Code::Internal, Seen::Refused),
    ] {
        let mut call = Bench::new(None);
        call.begin();
        assert_eq!(call.ended(FIRST, code, false, seen, None), Verdict::Deliver, "{code} {seen:?}");
    }
    for code in [Code::Cancelled, Code::DeadlineExceeded] {
        for mut call in [Bench::retrying(5, None), Bench::hedging(5, SECOND, None)] {
            call.begin();
            assert_eq!(call.ended(FIRST, code, false, Seen::Perhaps, None), Verdict::Deliver, "this side gave up");
        }
    }
    for mut call in [Bench::retrying(5, None), Bench::hedging(5, SECOND, None)] {
        call.begin();
        assert_eq!(call.lost(FIRST, Seen::Dropped), Verdict::Deliver);
    }
}

// Retries.

#[test]
fn retries_back_off_until_the_attempts_are_used_up() {
    let mut call = Bench::retrying(4, None);
    assert_eq!(call.begin(), [(0, 0)]);
    for (number, bound) in [(0, 1.0), (1, 2.0), (2, 3.0)] {
        let Verdict::Again(at) = call.answered(AttemptId(number), Code::Unavailable) else {
            panic!("attempt {number}")
        };
        let delay = (at - call.now).as_secs_f64();
        assert!((bound * 0.8..=bound * 1.2).contains(&delay), "{delay} for {bound}");
        assert_eq!(call.begin(), [], "not before its time");
        assert_eq!(call.rpc.poll_timeout(), Some(at));
        assert_eq!(call.wait(), [(number + 1, number + 1)]);
        assert_eq!(call.rpc.poll_timeout(), None);
    }
    assert_eq!(call.answered(AttemptId(3), Code::Unavailable), Verdict::Deliver);
}

#[test]
fn other_codes_and_success_end_a_retried_call() {
    for code in [Code::Ok, Code::Internal, Code::DeadlineExceeded] {
        let mut call = Bench::retrying(4, None);
        call.begin();
        assert_eq!(call.answered(FIRST, code), Verdict::Deliver, "{code}");
    }
    let mut call = Bench::retrying(4, None);
    call.begin();
    assert!(matches!(call.answered(FIRST, Code::Cancelled), Verdict::Again(_)), "the server's own CANCELLED");
}

#[test]
fn a_refused_attempt_is_none_of_the_policy_s_until_it_is_refused_again() {
    let mut call = Bench::retrying(2, None);
    call.begin();
    assert_eq!(call.lost(FIRST, Seen::Refused), Verdict::Again(call.now));
    assert_eq!(call.begin(), [(1, 0)]);
    assert!(matches!(call.lost(SECOND_ONE, Seen::Refused), Verdict::Again(at) if at > call.now));
    assert_eq!(call.wait(), [(2, 1)]);
    assert_eq!(call.lost(THIRD, Seen::Refused), Verdict::Deliver, "two attempts of two");
}

#[test]
fn headers_commit() {
    let mut call = Bench::retrying(4, None);
    call.begin();
    assert!(!call.rpc.is_committed());
    assert!(call.rpc.handle_headers(FIRST) && call.rpc.is_committed());
    assert_eq!(call.answered(FIRST, Code::Unavailable), Verdict::Deliver);
}

#[test]
fn more_than_is_kept_commits() {
    for furthest in [Some(FIRST), None] {
        let mut call = Bench::retrying(4, None);
        call.begin();
        let mut last = FIRST;
        if furthest.is_none() {
            call.answered(FIRST, Code::Unavailable);
            last = SECOND_ONE;
        }
        call.rpc.handle_overflow(furthest);
        if furthest.is_none() {
            assert_eq!(call.wait(), [(1, 1)], "the next is the last");
        }
        assert!(call.rpc.is_committed());
        assert_eq!(call.lost(last, Seen::Refused), Verdict::Deliver);
    }
}

#[test]
fn a_server_may_say_when_and_that_not() {
    let mut call = Bench::retrying(5, None);
    call.begin();
    call.answered(FIRST, Code::Unavailable);
    call.wait();
    assert_eq!(call.pushed_back(SECOND_ONE, "250"), call.in_seconds(0.25));
    call.wait();
    let Verdict::Again(at) = call.answered(THIRD, Code::Unavailable) else { panic!() };
    assert!(at - call.now <= Duration::from_millis(1200), "the delays start from the first again");
    let mut call = Bench::retrying(5, None);
    call.begin();
    assert_eq!(call.pushed_back(FIRST, "-1"), Verdict::Deliver);
}

#[test]
fn too_many_failures_stop_retries_until_successes_come() {
    let tokens = throttle(4);
    let attempt = |code| {
        let mut call = Bench::retrying(5, Some(&tokens));
        call.begin();
        call.answered(FIRST, code) != Verdict::Deliver
    };
    assert!(attempt(Code::Unavailable), "3 of 4 left");
    assert!(!attempt(Code::Unavailable), "2 of 4 are not more than half");
    assert!(!attempt(Code::Internal) && tokens.tokens() == 2000, "another code takes none");
    for _ in 0..3 {
        attempt(Code::Ok);
    }
    assert!(attempt(Code::Unavailable), "3.5 less 1");
    let tokens = throttle(4);
    let mut call = Bench::retrying(5, Some(&tokens));
    call.begin();
    assert_eq!(call.lost(FIRST, Seen::Never), Verdict::Again(call.now));
    assert_eq!(tokens.tokens(), 4000, "what was never sent takes none");
    call.begin();
    call.ended(SECOND_ONE, Code::Internal, true, Seen::Perhaps, Some("-1"));
    assert_eq!(tokens.tokens(), 3000, "not to come back is a failure, whatever the code");
}

#[test]
fn a_call_that_is_given_up_begins_no_more() {
    for mut call in [Bench::new(None), Bench::retrying(5, None), Bench::hedging(5, SECOND, None)] {
        call.begin();
        call.rpc.give_up();
        assert_eq!((call.begin(), call.rpc.poll_timeout()), (vec![], None));
        assert!(!call.rpc.handle_headers(FIRST));
        assert_eq!(call.answered(FIRST, Code::Ok), Verdict::Lost);
    }
    let mut call = Bench::retrying(5, None);
    call.begin();
    call.answered(FIRST, Code::Unavailable);
    call.rpc.give_up();
    assert_eq!((call.begin(), call.rpc.poll_timeout()), (vec![], None), "between attempts");
}

// Hedging.

#[test]
fn hedges_begin_one_after_the_other_and_are_never_more_than_asked_for() {
    let mut call = Bench::hedging(3, SECOND, None);
    assert_eq!(call.begin(), [(0, 0)]);
    assert_eq!(call.wait(), [(1, 1)]);
    assert_eq!(call.wait(), [(2, 2)]);
    assert_eq!((call.elapsed(), call.rpc.poll_timeout()), (2 * SECOND, None));
    let mut all = Bench::hedging(3, Duration::ZERO, None);
    assert_eq!(all.begin(), [(0, 0), (1, 1), (2, 2)]);
}

#[test]
fn the_first_with_headers_wins_and_the_others_are_cancelled() {
    let mut call = Bench::hedging(3, SECOND, None);
    call.begin();
    call.wait();
    assert!(call.rpc.handle_headers(SECOND_ONE));
    assert_eq!((call.cancelled(), call.rpc.poll_timeout()), (vec![0], None));
    assert!(!call.rpc.handle_headers(FIRST));
    assert_eq!(call.ended(FIRST, Code::Cancelled, false, Seen::Perhaps, None), Verdict::Lost);
    assert_eq!(call.answered(SECOND_ONE, Code::Unavailable), Verdict::Deliver);
    assert_eq!((call.cancelled(), call.begin()), (vec![], vec![]));
}

#[test]
fn a_good_or_fatal_end_is_the_call_s_and_the_others_are_cancelled() {
    for code in [Code::Ok, Code::Internal] {
        let mut call = Bench::hedging(3, Duration::ZERO, None);
        call.begin();
        assert_eq!(call.answered(SECOND_ONE, code), Verdict::Deliver);
        assert_eq!(call.cancelled(), [0, 2], "{code}");
        assert_eq!(call.answered(FIRST, Code::Ok), Verdict::Lost);
    }
}

#[test]
fn a_failure_that_is_not_fatal_brings_the_next_at_once() {
    let mut call = Bench::hedging(3, SECOND, None);
    call.begin();
    assert_eq!(call.answered(FIRST, Code::Unavailable), Verdict::Again(call.now));
    assert_eq!(call.begin(), [(1, 1)]);
    assert_eq!(call.rpc.poll_timeout(), Some(call.now + SECOND), "the delay starts with it");
    call.wait();
    assert_eq!(call.answered(SECOND_ONE, Code::Unavailable), Verdict::Lost, "no more, but one is under way");
    assert_eq!(call.answered(THIRD, Code::Unavailable), Verdict::Deliver, "the last to fail");
}

#[test]
fn push_back_moves_the_next_hedge_or_stops_them() {
    let mut call = Bench::hedging(4, SECOND, None);
    call.begin();
    assert_eq!(call.pushed_back(FIRST, "5000"), call.in_seconds(5.0));
    assert_eq!(call.begin(), []);
    assert_eq!(call.wait(), [(1, 1)], "although none was under way");
    call.wait();
    assert_eq!(call.pushed_back(SECOND_ONE, "-1"), Verdict::Lost);
    assert_eq!((call.rpc.poll_timeout(), call.begin()), (None, vec![]), "there were to be four");
    assert_eq!(call.answered(THIRD, Code::Ok), Verdict::Deliver);
}

#[test]
fn hedges_are_throttled() {
    let tokens = throttle(2);
    let mut call = Bench::hedging(5, SECOND, Some(&tokens));
    call.begin();
    call.wait();
    assert_eq!(call.answered(FIRST, Code::Unavailable), Verdict::Lost, "1 of 2 is not more than half");
    assert_eq!(call.rpc.poll_timeout(), None);
    assert_eq!(call.answered(SECOND_ONE, Code::Ok), Verdict::Deliver);
    assert_eq!(tokens.tokens(), 1500);
    // Failures of other calls: the first attempt is made, and no more beside it.
    let mut call = Bench::hedging(5, SECOND, Some(&tokens));
    assert_eq!(call.begin(), [(0, 0)]);
    let mut other = Bench::hedging(5, SECOND, Some(&tokens));
    other.begin();
    assert_eq!(other.answered(FIRST, Code::Unavailable), Verdict::Deliver);
    assert_eq!(call.wait(), []);
    assert_eq!(call.rpc.poll_timeout(), None);
    assert_eq!(call.answered(FIRST, Code::Unavailable), Verdict::Deliver);
}

#[test]
fn a_hedge_after_the_last_failure_is_not_throttled_by_others() {
    let tokens = throttle(4);
    let mut call = Bench::hedging(5, SECOND, Some(&tokens));
    call.begin();
    assert_eq!(call.pushed_back(FIRST, "1000"), call.in_seconds(1.0));
    for _ in 0..4 {
        let mut other = Bench::retrying(2, Some(&tokens));
        other.begin();
        other.answered(FIRST, Code::Unavailable);
    }
    assert_eq!((tokens.tokens(), call.wait()), (0, vec![(1, 1)]), "else the call would never end");
}

#[test]
fn hedges_that_no_server_has_looked_at_go_again_under_their_number() {
    let mut call = Bench::hedging(3, SECOND, None);
    call.begin();
    call.wait();
    assert_eq!(call.lost(FIRST, Seen::Never), Verdict::Again(call.now));
    assert_eq!(call.lost(SECOND_ONE, Seen::Refused), Verdict::Again(call.now));
    assert_eq!(call.begin(), [(2, 1), (3, 0)]);
    assert_eq!(call.wait(), [(4, 2)]);
    assert_eq!(call.lost(AttemptId(2), Seen::Refused), Verdict::Lost, "once a call");
    assert!(call.rpc.handle_headers(AttemptId(3)));
    assert_eq!(call.cancelled(), [4]);
}

#[test]
fn more_than_is_kept_leaves_the_furthest_hedge() {
    let mut call = Bench::hedging(3, Duration::ZERO, None);
    call.begin();
    call.rpc.handle_overflow(Some(SECOND_ONE));
    assert_eq!(call.cancelled(), [0, 2]);
    assert_eq!(call.lost(SECOND_ONE, Seen::Refused), Verdict::Deliver);
    let mut call = Bench::hedging(3, SECOND, None);
    call.begin();
    call.pushed_back(FIRST, "5000");
    call.rpc.handle_overflow(None);
    assert_eq!((call.wait(), call.rpc.poll_timeout()), (vec![(1, 1)], None));
    assert_eq!(call.answered(SECOND_ONE, Code::Unavailable), Verdict::Deliver);
}

// Anything at all.

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

#[test]
fn whatever_happens_a_call_ends_once_within_its_policy() {
    let delivered: usize = (0..20_000).map(|seed| usize::from(play(&mut Random(seed)))).sum();
    assert!(delivered > 15_000, "{delivered} came to an end by themselves");
}

/// Plays a call with random ends; whether it ended by itself.
fn play(random: &mut Random) -> bool {
    let (most, delay) = (2 + u32::try_from(random.below(4)).unwrap(), random.of(&[Duration::ZERO, SECOND]));
    let tokens = throttle(random.of(&[1, 4, 1000]));
    let shared = (random.below(2) == 0).then_some(&tokens);
    let (mut call, beside, counted) = match random.below(3) {
        0 => (Bench::new(None), 1, 1),
        1 => (Bench::retrying(most, shared), 1, most),
        _ => (Bench::hedging(most, delay, shared), most, most),
    };
    let (mut live, mut winner, mut unseen): (Vec<AttemptId>, Option<AttemptId>, _) = (Vec::new(), None, 0);
    for _ in 0..200 {
        while let Some(id) = call.rpc.poll_cancel() {
            assert!(live.contains(&id) && winner != Some(id), "it cancels what is not there, or the winner");
            live.retain(|other| *other != id);
        }
        while let Some(attempt) = call.rpc.attempt(call.now) {
            assert!(winner.is_none(), "one has won");
            live.push(attempt.id);
            assert!(attempt.previous < counted && live.len() <= beside as usize, "{attempt:?} of {live:?}");
            winner = call.rpc.is_committed().then_some(attempt.id);
        }
        assert!(tokens.tokens() <= tokens.most());
        assert!(call.rpc.poll_timeout().is_none_or(|at| at > call.now), "what is due has not begun");
        if live.is_empty() || (random.below(4) == 0 && call.rpc.poll_timeout().is_some()) {
            call.now = call.rpc.poll_timeout().expect("nothing is under way, and nothing will be");
            continue;
        }
        let id = random.of(&live);
        match random.below(8) {
            0 => {
                assert_eq!(call.rpc.handle_headers(id), winner.is_none_or(|winner| winner == id));
                winner = winner.or(Some(id));
            }
            1 if winner.is_none() => {
                call.rpc.handle_overflow(Some(id));
                winner = Some(id);
            }
            2 if random.below(4) == 0 => {
                call.rpc.give_up();
                assert_eq!((call.begin(), call.rpc.poll_timeout()), (vec![], None));
                return false;
            }
            _ => {
                let seen = random.of(&[Seen::Never, Seen::Refused, Seen::Perhaps, Seen::Perhaps]);
                // What is never sent is sent in the end.
                unseen += usize::from(seen == Seen::Never);
                let seen = if unseen > 20 { Seen::Perhaps } else { seen };
                let code = random.of(&[Code::Ok, Code::Internal, Code::Unavailable, Code::Unavailable]);
                let pushback = random.of(&[None, None, Some("0"), Some("50"), Some("-1")]);
                live.retain(|other| *other != id);
                match call.ended(id, code, code != Code::Unavailable || random.below(2) == 0, seen, pushback) {
                    Verdict::Deliver => {
                        let losers = call.cancelled();
                        assert_eq!(losers.len(), live.len(), "{losers:?} of {live:?}");
                        assert_eq!((call.begin(), call.rpc.poll_timeout()), (vec![], None));
                        assert!(winner.is_none_or(|winner| winner == id));
                        return true;
                    }
                    Verdict::Again(_) => assert!(winner.is_none(), "nothing goes again that has won"),
                    Verdict::Lost => assert!(!live.is_empty(), "the last attempt ends the call"),
                }
            }
        }
    }
    panic!("it goes on without end");
}
