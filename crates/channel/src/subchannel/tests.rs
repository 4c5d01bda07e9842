//! The table of an address's states, whole; and what is remembered of an address that nobody wants.

use farcall_core::Code;

use super::*;
use crate::{Config, balancer::Helper};

/// Subchannels with what gives them their names.
struct Table {
    helper: Helper,
    subchannels: Subchannels,
    now: Instant,
}

const ADDRESS: &str = "127.0.0.1:1";

impl Table {
    fn new() -> Table {
        let now = Instant::now();
        let subchannels = Subchannels::new(Backoff::new(1), Duration::from_secs(20), 256, 1);
        Table { helper: Helper::new(now, 1, (&Config::new(1)).into()), subchannels, now }
    }

    fn apply(&mut self) {
        self.subchannels.apply(&mut self.helper.collected, &mut self.helper.slots, self.now);
    }

    fn add(&mut self) -> SubchannelId {
        let id = self.helper.new_subchannel(&Address::Ip(ADDRESS.parse().unwrap()));
        self.apply();
        id
    }

    fn connect(&mut self, id: SubchannelId) {
        self.helper.connect(id);
        self.apply();
    }

    fn release(&mut self, id: SubchannelId) {
        self.helper.release(id);
        self.apply();
    }

    fn dial(&self) -> DialId {
        self.subchannels.dials.keys().next().copied().unwrap_or(DialId(99))
    }

    fn fail(&mut self) {
        let error = ConnectError { code: Code::Unknown, why: "no".to_owned() };
        self.subchannels.handle_failed(self.dial(), &error, self.now);
    }

    fn expire(&mut self) {
        if let Some(at) = self.subchannels.poll_timeout() {
            self.now = self.now.max(at);
        }
        self.subchannels.handle_timeout(self.now);
    }

    /// What subchannels have heard, in one letter each.
    fn heard(&mut self, id: SubchannelId) -> String {
        let events = std::iter::from_fn(|| self.subchannels.poll_event());
        let own = events.filter(|(_, other, _)| *other == id);
        own.map(|(_, _, update)| letter(&update)).collect()
    }

    fn state(&self) -> Option<char> {
        self.subchannels.connectors.values().next().map(|connector| letter(&connector.state.update()))
    }
}

fn letter(update: &Update) -> char {
    match update {
        Update::Idle => 'I',
        Update::Connecting => 'C',
        Update::Ready => 'R',
        Update::Failed(_) => 'F',
        Update::Checking | Update::Unhealthy(_) => '?',
    }
}

/// In each state each thing that may happen: what the subchannel hears, and what the channel is to do.
#[test]
fn every_state_and_everything_that_happens_to_it() {
    type Step = fn(&mut Table, SubchannelId);
    let steps: [(&str, Step); 7] = [
        ("connect", |table, id| table.connect(id)),
        ("connected", |table, _| {
            table.subchannels.handle_connected(table.dial(), table.now);
        }),
        ("failed", |table, _| table.fail()),
        ("lost", |table, _| table.subchannels.handle_lost(table.dial(), "gone", true, table.now)),
        ("broken", |table, _| {
            let address = Address::Ip(ADDRESS.parse().unwrap());
            table.subchannels.connectors.get_mut(&address).unwrap().short_lives = SHORT_LIVES - 1;
            table.subchannels.handle_lost(table.dial(), "gone", false, table.now);
        }),
        ("time", |table, _| table.expire()),
        ("release", |table, id| table.release(id)),
    ];
    // Heard, then the state, then orders: `.` is nothing, `-` gone.
    let expected = [
        ("I", ["C C dial", ". I", ". I", ". I", ". I", ". I", ". -"]),
        ("C", ["C C", "R R", "F F", ". C", ". C", "FI I abandon", ". - abandon"]),
        ("R", ["R R", ". R", ". R", "I I", "F F", ". R", ". - release"]),
        ("F", ["F F", ". F", ". F", ". F", ". F", "I I", ". F"]),
    ];
    for (state, row) in expected {
        for ((name, step), expected) in steps.iter().zip(row) {
            let mut table = Table::new();
            let id = table.add();
            if state != "I" {
                table.connect(id);
            }
            match state {
                "R" => assert!(table.subchannels.handle_connected(table.dial(), table.now)),
                "F" => table.fail(),
                _ => {}
            }
            assert_eq!(table.state(), state.chars().next());
            table.heard(id);
            table.subchannels.take_orders();
            step(&mut table, id);
            let heard = Some(table.heard(id)).filter(|heard| !heard.is_empty()).unwrap_or(".".to_owned());
            let after = table.state().unwrap_or('-');
            let orders: String = table
                .subchannels
                .take_orders()
                .iter()
                .map(|order| match order {
                    Order::Dial(..) => " dial",
                    Order::Abandon(_) => " abandon",
                    Order::Release(_) => " release",
                    Order::Open(..) | Order::Cancel(_) | Order::Note(_) => " stream",
                })
                .collect();
            assert_eq!(format!("{heard} {after}{orders}"), expected, "{name} in {state}");
        }
    }
}

#[test]
fn those_who_want_one_address_share_what_it_is() {
    let mut table = Table::new();
    let first = table.add();
    table.connect(first);
    let second = table.add();
    assert_eq!(table.heard(second), "C");
    table.connect(second);
    assert_eq!(table.subchannels.take_orders().len(), 1);
    table.heard(first);
    let dial = table.dial();
    assert!(table.subchannels.handle_connected(dial, table.now));
    let third = table.add();
    assert_eq!(table.heard(third), "R");
    assert_eq!(table.subchannels.ready().count(), 3);
    table.release(first);
    table.release(second);
    assert_eq!(table.subchannels.take_orders(), []);
    table.release(third);
    assert_eq!(table.subchannels.take_orders(), [Order::Release(dial)]);
    assert_eq!((table.subchannels.len(), table.subchannels.connectors.len()), (0, 0));
}

#[test]
fn what_is_known_of_an_address_outlives_those_who_wanted_it_until_the_delay_is_over() {
    let mut table = Table::new();
    let first = table.add();
    table.connect(first);
    table.fail();
    table.release(first);
    let second = table.add();
    assert_eq!(table.heard(second), "F");
    table.connect(second);
    assert_eq!(table.subchannels.take_orders().len(), 1, "it waits for the end of the delay");
    table.expire();
    assert_eq!(table.heard(second).chars().last(), Some('I'));
    table.release(second);
    assert_eq!(table.subchannels.connectors.len(), 0);

    let third = table.add();
    table.connect(third);
    table.fail();
    table.release(third);
    table.expire();
    assert_eq!((table.subchannels.connectors.len(), table.subchannels.poll_timeout()), (0, None));
}

#[test]
fn short_lives_are_remembered_for_a_second() {
    let mut table = Table::new();
    let id = table.add();
    table.connect(id);
    let dial = table.dial();
    table.subchannels.handle_connected(dial, table.now);
    table.subchannels.handle_lost(dial, "gone", false, table.now);
    table.release(id);
    assert_eq!(table.subchannels.connectors.len(), 1);
    let id = table.add();
    assert_eq!(table.subchannels.poll_timeout(), None, "it is wanted again");
    table.release(id);
    table.expire();
    assert_eq!(table.subchannels.connectors.len(), 0);
}

#[test]
fn a_name_is_used_again_under_another_generation() {
    let mut table = Table::new();
    let first = table.add();
    table.connect(first);
    table.release(first);
    let second = table.add();
    assert_eq!(first.slot, second.slot);
    assert_ne!(first, second);
    table.release(first);
    assert_eq!(table.subchannels.len(), 1, "the old name lets nothing go");
    assert_eq!(table.heard(first), "");
}
