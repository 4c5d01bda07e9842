use super::*;

fn started(most: impl Into<Option<usize>>) -> Serving<&'static str, u32, u32> {
    let mut serving = Serving::new(most.into());
    assert_eq!(serving.listen(["a", "b"]), Ok(false));
    assert_eq!(serving.start(), Some(vec!["a", "b"]));
    serving
}

#[test]
fn it_starts_once_and_not_after_it_was_stopped() {
    let mut serving = Serving::<&str, u32, u32>::new(None);
    assert!(!serving.is_serving());
    assert!(serving.start().is_some() && serving.is_serving());
    assert!(serving.start().is_none());
    serving.close();
    assert!(!serving.is_serving() && serving.start().is_none());

    let mut never = Serving::<&str, u32, u32>::new(None);
    never.close();
    assert!(never.start().is_none());
}

#[test]
fn ports_are_bound_before_and_after_the_start_but_not_while_it_stops() {
    let mut serving = started(None);
    assert_eq!(serving.listen(["c"]), Ok(true));
    assert_eq!(serving.close().listeners, ["a", "b", "c"]);
    assert_eq!(serving.listen(["d"]), Err(Closing));
    assert_eq!(Closing.to_string(), "the server is closing");
    serving.cancel();
    assert_eq!(serving.listen(["d"]), Err(Closing));
}

#[test]
fn connections_are_let_in_up_to_the_limit_and_again_when_one_is_gone() {
    let mut serving = started(2);
    for key in 0..2 {
        assert_eq!(serving.admit(), Ok(()));
        assert_eq!(serving.handle_connected(key, key), Newcomer::Serve);
    }
    assert_eq!(serving.admit(), Err(Full(2)));
    assert_eq!(serving.handle_lost(&0), Some(0));
    assert_eq!(serving.handle_lost(&0), None);
    assert_eq!(serving.admit(), Ok(()));

    let mut open = started(None);
    for key in 0..10_000 {
        assert_eq!(open.admit(), Ok(()));
        open.handle_connected(key, key);
    }
}

#[test]
fn accepting_pauses_longer_until_a_connection_is_accepted_even_one_that_is_turned_away() {
    let mut serving = started(0);
    let first = serving.handle_refused();
    assert_eq!(serving.handle_refused(), first * 2);
    assert_eq!(serving.admit(), Err(Full(0)));
    assert_eq!(serving.handle_refused(), first);
}

#[test]
fn connections_that_come_while_it_stops_are_told_so() {
    let mut serving = started(None);
    serving.handle_connected(1, 1);
    assert_eq!(serving.close().connections, [1]);
    assert_eq!(serving.handle_connected(2, 2), Newcomer::ShutDown);
    // Closing again reaches it too.
    let mut both = serving.close().connections;
    both.sort_unstable();
    assert_eq!(both, [1, 2]);

    let mut all = serving.cancel().connections;
    all.sort_unstable();
    assert_eq!(all, [1, 2]);
    assert_eq!(serving.handle_connected(3, 3), Newcomer::Close);
    assert!(serving.cancel().connections.is_empty());
    // It stays cancelled.
    assert!(serving.close().connections.is_empty());
    assert_eq!(serving.handle_connected(4, 4), Newcomer::Close);
}

#[test]
fn it_is_drained_when_it_takes_no_calls_and_the_last_has_ended() {
    let mut serving = started(None);
    assert!(!serving.is_drained(), "calls may still come");
    serving.handle_request();
    serving.handle_request();
    serving.close();
    serving.handle_ended();
    assert!(!serving.is_drained());
    serving.handle_ended();
    assert!(serving.is_drained());
    // Another thread saw the end first.
    serving.handle_ended();
    assert!(!serving.is_drained());
    serving.handle_request();
    assert!(serving.is_drained());
}

#[test]
fn calls_that_it_ends_say_that_it_stopped() {
    assert_eq!((stopped().code, stopped().message.as_ref()), (Code::Unavailable, "Server stopped"));
}
