//! The attempts at one call with what they send, stepped: who has room, who wins, and what is sent again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{
    HedgingPolicy, MethodConfig, Refusal, RetryPolicy,
    call::{Attempt, AttemptId, Attempts, End, Piece, Plan, Replay, Rpc, Seen, Verdict},
};
use farcall_core::{Code, Metadata, Status};

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that a call keeps here.
const KEPT: usize = 100;
const FIRST: AttemptId = AttemptId(0);
const SECOND_ONE: AttemptId = AttemptId(1);

/// A call and its clock; a connection is the number of the attempt on it.
struct Bench {
    attempts: Attempts<u32, &'static str>,
    now: Instant,
}

impl Bench {
    fn new(plan: Option<Box<Plan>>) -> Bench {
        Bench { attempts: Attempts::new(Rpc::new(plan), Replay::new(KEPT, None)), now: Instant::now() }
    }

    fn retrying() -> Bench {
        let retry = Some(RetryPolicy {
            max_attempts: 3,
            initial_backoff: SECOND,
            max_backoff: SECOND,
            multiplier: 1.0,
            codes: vec![Code::Unavailable],
        });
        Bench::new(Plan::new(&Arc::new(MethodConfig { retry, ..MethodConfig::default() }), None, 1))
    }

    fn hedging(max_attempts: u32, delay: Duration) -> Bench {
        let hedging = Some(HedgingPolicy { max_attempts, delay, codes: vec![Code::Unavailable] });
        Bench::new(Plan::new(&Arc::new(MethodConfig { hedging, ..MethodConfig::default() }), None, 1))
    }

    /// Begins an attempt on a connection.
    fn place(&mut self) -> Attempt {
        let attempt = self.attempts.begin(self.now).expect("one is due");
        self.attempts.place(attempt.id, attempt.id.0);
        attempt
    }

    /// Places all that are due; when the next is.
    fn place_all(&mut self) -> Option<Duration> {
        self.place();
        loop {
            match self.attempts.next_due(self.now) {
                Some(at) if at <= self.now => drop(self.place()),
                later => return later.map(|at| at - self.now),
            }
        }
    }

    fn placed(&self) -> Vec<u32> {
        self.attempts.placed().map(|(_, at)| *at).collect()
    }

    fn send(&mut self, message: &'static str) {
        self.attempts.push(message, message.len());
    }

    /// What an attempt sends that has room.
    fn sent(&mut self, id: AttemptId) -> String {
        let mut text = String::new();
        while let Some(piece) = self.attempts.next(id, true) {
            text += match piece {
                Piece::Message(message) => message,
                Piece::HalfClose => ".",
            };
        }
        text
    }

    fn fails(&mut self, id: AttemptId, code: Code) -> Verdict {
        let end = End { code, trailers: &Metadata::new(), completed: true, seen: Seen::Perhaps };
        self.attempts.handle_ended(id, end, self.now).0
    }

    fn unseen(&mut self, id: AttemptId) -> Verdict {
        let end = End { code: Code::Unavailable, trailers: &Metadata::new(), completed: false, seen: Seen::Never };
        self.attempts.handle_ended(id, end, self.now).0
    }

    fn nowhere(&mut self, may_retry: bool) -> Verdict {
        let refusal = Refusal { status: Status::new(Code::Unavailable, "nobody is there"), may_retry };
        self.attempts.handle_nowhere(&refusal, self.now)
    }

    fn losers(&mut self) -> Vec<u32> {
        let mut losers: Vec<u32> = std::iter::from_fn(|| self.attempts.poll_loser()).collect();
        losers.sort_unstable();
        losers
    }
}

#[test]
fn each_attempt_sends_all_from_the_beginning() {
    let mut call = Bench::retrying();
    call.send("a");
    assert_eq!((call.place().id, call.sent(FIRST)), (FIRST, "a".to_owned()));
    call.send("b");
    assert_eq!(call.sent(FIRST), "b");
    let Verdict::Again(at) = call.fails(FIRST, Code::Unavailable) else { panic!("it has two more") };
    assert!(call.attempts.begin(call.now).is_none(), "not before its time");
    call.attempts.half_close();
    call.now = at;
    assert_eq!((call.place().previous, call.sent(SECOND_ONE)), (1, "ab.".to_owned()));
}

#[test]
fn a_message_waits_for_room_and_the_end_does_not() {
    let mut call = Bench::new(None);
    call.place();
    call.attempts.half_close();
    assert_eq!(call.attempts.next(FIRST, false), Some(Piece::HalfClose));
    let mut call = Bench::new(None);
    call.place();
    call.send("");
    call.attempts.half_close();
    assert_eq!(call.attempts.next(FIRST, false), None, "an empty message is one too");
    assert_eq!(call.sent(FIRST), ".");
}

#[test]
fn the_application_waits_for_the_attempt_that_has_sent_the_most() {
    let mut call = Bench::hedging(2, Duration::ZERO);
    assert!(call.attempts.has_room(1) && !call.attempts.has_room(0));
    call.send("a");
    assert!(!call.attempts.has_room(1), "nothing is sent yet");
    assert_eq!(call.place_all(), None);
    assert_eq!(call.sent(FIRST), "a");
    assert_eq!(call.attempts.next(SECOND_ONE, false), None);
    assert!(call.attempts.has_room(1));
    assert_eq!(call.attempts.next(FIRST, false), None);
    assert!(!call.attempts.has_room(1));
    assert_eq!(call.sent(FIRST), "");
    assert!(call.attempts.has_room(1));
}

#[test]
fn between_attempts_it_may_send_a_little_more() {
    let mut call = Bench::retrying();
    call.place();
    call.send("first");
    assert_eq!(call.sent(FIRST), "first");
    call.fails(FIRST, Code::Unavailable);
    assert!(call.attempts.has_room(1), "that was sent once");
    call.send("x");
    assert!(!call.attempts.has_room(1) && call.attempts.has_room(2));
}

#[test]
fn past_what_is_kept_the_call_is_that_of_the_attempt_that_has_sent_the_most() {
    const ALL: &str = match std::str::from_utf8(&[b'x'; KEPT]) {
        Ok(text) => text,
        Err(_) => "",
    };
    let mut call = Bench::hedging(2, Duration::ZERO);
    call.place_all();
    call.send(ALL);
    assert_eq!(call.sent(SECOND_ONE), ALL);
    assert!(!call.attempts.is_committed(), "this much is kept");
    call.send("y");
    assert_eq!(call.losers(), [0]);
    assert_eq!(call.attempts.winner(), Some((SECOND_ONE, &1)));
    assert!(call.attempts.take_winner().is_none(), "it has not sent all");
    assert_eq!(call.sent(SECOND_ONE), "y");
    assert_eq!(call.attempts.take_winner().map(|winner| (winner.id, winner.at)), Some((SECOND_ONE, 1)));
}

#[test]
fn past_what_is_kept_with_none_under_way_the_next_attempt_is_the_last() {
    let mut call = Bench::retrying();
    call.place();
    let Verdict::Again(at) = call.fails(FIRST, Code::Unavailable) else { panic!("it has two more") };
    call.attempts.push("much", KEPT + 1);
    assert!(!call.attempts.has_room(usize::MAX));
    call.now = at;
    call.place();
    assert!(call.attempts.is_committed());
    assert_eq!(call.sent(SECOND_ONE), "much");
    assert!(call.attempts.has_room(1));
    assert_eq!(call.fails(SECOND_ONE, Code::Unavailable), Verdict::Deliver);
}

#[test]
fn without_a_policy_what_a_call_begins_with_is_kept_whatever_it_takes_as_long_as_nothing_follows() {
    let mut call = Bench::new(None);
    call.attempts.push("much", KEPT + 1);
    call.place();
    assert_eq!(call.sent(FIRST), "much");
    assert_eq!(call.unseen(FIRST), Verdict::Again(call.now));
    call.place();
    assert_eq!(call.sent(SECOND_ONE), "much");
    call.send("more");
    assert!(call.attempts.is_committed());
    assert_eq!(call.sent(SECOND_ONE), "more");
    assert_eq!(call.unseen(SECOND_ONE), Verdict::Deliver);
}

#[test]
fn hedges_are_placed_one_by_one_when_they_are_due() {
    let mut call = Bench::hedging(3, SECOND);
    assert_eq!(call.place_all(), Some(SECOND));
    assert!(call.attempts.begin(call.now).is_none());
    call.now += SECOND;
    assert_eq!(call.place_all(), Some(SECOND));
    call.now += SECOND;
    assert_eq!(call.place_all(), None);
    assert_eq!(call.placed(), [0, 1, 2]);
    let mut call = Bench::hedging(3, Duration::ZERO);
    assert_eq!((call.place_all(), call.placed()), (None, vec![0, 1, 2]));
}

#[test]
fn hedges_that_no_server_has_looked_at_go_again_each() {
    let mut call = Bench::hedging(3, Duration::ZERO);
    call.place_all();
    for id in 0..3 {
        assert_eq!(call.unseen(AttemptId(id)), Verdict::Again(call.now));
    }
    assert_eq!((call.place_all(), call.placed()), (None, vec![3, 4, 5]));
}

#[test]
fn the_first_with_headers_wins_and_the_others_have_lost() {
    let mut call = Bench::hedging(3, Duration::ZERO);
    call.place();
    call.now += SECOND;
    assert_eq!(call.attempts.next_due(call.now), Some(call.now));
    call.place();
    assert_eq!(call.attempts.next_due(call.now), Some(call.now));
    assert!(call.attempts.has_begun());
    assert!(call.attempts.handle_headers(SECOND_ONE));
    assert_eq!(call.losers(), [0]);
    assert!(!call.attempts.has_begun() && call.attempts.begin(call.now).is_none());
    assert!(!call.attempts.handle_headers(FIRST));
    assert_eq!(call.fails(FIRST, Code::Ok), Verdict::Lost);
    assert_eq!(call.attempts.next_due(call.now), None);
    let mut winner = call.attempts.take_winner().expect("nothing is left to send");
    let end = End { code: Code::Ok, trailers: &Metadata::new(), completed: true, seen: Seen::Perhaps };
    assert_eq!(winner.rpc.handle_ended(winner.id, end, call.now), Verdict::Deliver);
}

#[test]
fn the_winner_is_not_let_go_while_losers_are_under_way() {
    let mut call = Bench::hedging(2, Duration::ZERO);
    call.place_all();
    assert!(call.attempts.take_winner().is_none(), "none has won");
    call.attempts.handle_headers(FIRST);
    assert!(call.attempts.take_winner().is_none());
    assert_eq!(call.losers(), [1]);
    assert!(call.attempts.take_winner().is_some());
}

#[test]
fn an_attempt_whose_connection_takes_no_calls_waits_for_another() {
    let mut call = Bench::retrying();
    call.send("a");
    let attempt = call.attempts.begin(call.now).unwrap();
    call.attempts.put_back(attempt);
    assert!(call.attempts.has_begun());
    assert_eq!((call.place(), call.sent(FIRST)), (attempt, "a".to_owned()));
}

#[test]
fn a_policy_has_its_word_when_there_is_no_connection() {
    let mut call = Bench::retrying();
    for _ in 0..2 {
        let Verdict::Again(at) = call.nowhere(true) else { panic!("it has three attempts") };
        assert!(at > call.now);
        call.now = at;
    }
    assert_eq!(call.nowhere(true), Verdict::Deliver);
    assert_eq!(Bench::retrying().nowhere(false), Verdict::Deliver, "it was dropped on purpose, or came too late");
    assert_eq!(Bench::new(None).nowhere(true), Verdict::Deliver);
}

#[test]
fn a_hedge_that_finds_no_connection_leaves_the_call_to_those_under_way() {
    let mut call = Bench::hedging(2, SECOND);
    call.place();
    call.now += SECOND;
    assert_eq!(call.nowhere(true), Verdict::Lost);
    assert_eq!(call.nowhere(true), Verdict::Lost, "none is due any more");
    assert_eq!(call.fails(FIRST, Code::Unavailable), Verdict::Deliver);
}

#[test]
fn a_call_that_is_given_up_has_no_attempts() {
    let mut call = Bench::hedging(3, Duration::ZERO);
    call.place();
    call.place();
    let mut ended: Vec<u32> = call.attempts.give_up().collect();
    ended.sort_unstable();
    assert_eq!((ended, call.placed()), (vec![0, 1], vec![]));
    assert!(call.attempts.begin(call.now).is_none());
    assert_eq!(call.attempts.next_due(call.now), None);
    assert_eq!(call.fails(FIRST, Code::Ok), Verdict::Lost);
}
