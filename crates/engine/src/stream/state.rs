//! The life of a stream (RFC 9113 5.1) as a table, without the states that only server push needs.

use crate::error::{ErrorCode, Fault};

/// Where a stream stands. A closed one is told by how it closed, because that decides what may still come for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Idle,
    Open,
    HalfClosedLocal,
    HalfClosedRemote,
    /// Both sides sent END_STREAM.
    Ended,
    ResetByPeer,
    ResetByUs,
}

/// What happens to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    ReceiveHeaders,
    ReceiveData,
    /// END_STREAM, after the frame that carries it.
    ReceiveEnd,
    ReceiveReset,
    ReceiveWindowUpdate,
    ReceivePriority,
    /// HEADERS or DATA.
    Send,
    SendEnd,
    SendReset,
}

/// What comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    To(State),
    /// The frame was in flight when the stream closed: not an error.
    Ignore,
    Fault(Fault),
    /// This side does not do that.
    Never,
}

const STATES: usize = 7;
const INPUTS: usize = 9;

const IDLE: Step = Step::Fault(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a frame on an idle stream"));
const HALF: Step = Step::Fault(Fault::Stream(ErrorCode::STREAM_CLOSED, "a frame after END_STREAM"));
const GONE: Step = Step::Fault(Fault::Stream(ErrorCode::STREAM_CLOSED, "a frame after RST_STREAM"));
const OVER: Step = Step::Fault(Fault::Connection(ErrorCode::STREAM_CLOSED, "a frame on a stream that has ended"));

#[rustfmt::skip]
const TABLE: [[Step; INPUTS]; STATES] = {
    use {State::*, Step::*};
    [
        // ReceiveHeaders      ReceiveData           ReceiveEnd            ReceiveReset     ReceiveWindowUpdate   ReceivePriority       Send                  SendEnd               SendReset
        [To(Open),             IDLE,                 IDLE,                 IDLE,            IDLE,                 To(Idle),             To(Open),             Never,                Never],         // Idle
        [To(Open),             To(Open),             To(HalfClosedRemote), To(ResetByPeer), To(Open),             To(Open),             To(Open),             To(HalfClosedLocal),  To(ResetByUs)], // Open
        [To(HalfClosedLocal),  To(HalfClosedLocal),  To(Ended),            To(ResetByPeer), To(HalfClosedLocal),  To(HalfClosedLocal),  Never,                Never,                To(ResetByUs)], // HalfClosedLocal
        [HALF,                 HALF,                 HALF,                 To(ResetByPeer), To(HalfClosedRemote), To(HalfClosedRemote), To(HalfClosedRemote), To(Ended),            To(ResetByUs)], // HalfClosedRemote
        [OVER,                 OVER,                 OVER,                 Ignore,          Ignore,               Ignore,               Never,                Never,                Never],         // Ended
        [GONE,                 GONE,                 GONE,                 Ignore,          Ignore,               Ignore,               Never,                Never,                Never],         // ResetByPeer
        [Ignore,               Ignore,               Ignore,               Ignore,          Ignore,               Ignore,               Never,                Never,                Never],         // ResetByUs
    ]
};

impl State {
    pub(crate) fn step(self, input: Input) -> Step {
        TABLE[self as usize][input as usize]
    }

    /// Takes the step of something that this side does, and never does when the table forbids it.
    pub(crate) fn advance(&mut self, input: Input) {
        match self.step(input) {
            Step::To(next) => *self = next,
            step => debug_assert!(false, "{input:?} in {self:?}: {step:?}"),
        }
    }

    /// Neither idle nor closed.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, State::Open | State::HalfClosedLocal | State::HalfClosedRemote)
    }

    pub(crate) fn remote_may_send(self) -> bool {
        matches!(self, State::Open | State::HalfClosedLocal)
    }

    pub(crate) fn local_may_send(self) -> bool {
        matches!(self, State::Open | State::HalfClosedRemote)
    }
}

#[cfg(test)]
mod tests {
    use super::{Input, State, Step, TABLE};
    use crate::error::{ErrorCode, Fault};

    const STATES: [State; 7] = [
        State::Idle,
        State::Open,
        State::HalfClosedLocal,
        State::HalfClosedRemote,
        State::Ended,
        State::ResetByPeer,
        State::ResetByUs,
    ];
    const INPUTS: [Input; 9] = [
        Input::ReceiveHeaders,
        Input::ReceiveData,
        Input::ReceiveEnd,
        Input::ReceiveReset,
        Input::ReceiveWindowUpdate,
        Input::ReceivePriority,
        Input::Send,
        Input::SendEnd,
        Input::SendReset,
    ];

    fn is_closed(state: State) -> bool {
        matches!(state, State::Ended | State::ResetByPeer | State::ResetByUs)
    }

    #[test]
    fn rows_and_columns_stand_in_the_order_of_the_enums() {
        assert_eq!((TABLE.len(), TABLE[0].len()), (STATES.len(), INPUTS.len()));
        for (i, state) in STATES.into_iter().enumerate() {
            assert_eq!(state as usize, i);
        }
        for (i, input) in INPUTS.into_iter().enumerate() {
            assert_eq!(input as usize, i);
        }
    }

    /// RFC 9113 5.1, sentence by sentence.
    #[test]
    fn every_state_against_every_input() {
        for state in STATES {
            for input in INPUTS {
                let step = state.step(input);
                let what = format!("{input:?} in {state:?}");
                match (state, input) {
                    // "idle: Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be
                    // treated as a connection error of type PROTOCOL_ERROR."
                    (State::Idle, Input::ReceiveHeaders | Input::Send) => {
                        assert_eq!(step, Step::To(State::Open), "{what}")
                    }
                    (State::Idle, Input::ReceivePriority) => assert_eq!(step, Step::To(State::Idle), "{what}"),
                    (State::Idle, Input::SendEnd | Input::SendReset) => assert_eq!(step, Step::Never, "{what}"),
                    (State::Idle, _) => {
                        assert!(matches!(step, Step::Fault(Fault::Connection(ErrorCode::PROTOCOL_ERROR, _))), "{what}");
                    }
                    // "Either endpoint can send a RST_STREAM frame from this state, causing it to transition
                    // immediately to closed."
                    (_, Input::ReceiveReset) if !is_closed(state) => {
                        assert_eq!(step, Step::To(State::ResetByPeer), "{what}");
                    }
                    (_, Input::SendReset) if !is_closed(state) => {
                        assert_eq!(step, Step::To(State::ResetByUs), "{what}")
                    }
                    // "half-closed (remote): If an endpoint receives additional frames, other than WINDOW_UPDATE,
                    // PRIORITY, or RST_STREAM, it MUST respond with a stream error of type STREAM_CLOSED."
                    (State::HalfClosedRemote, Input::ReceiveHeaders | Input::ReceiveData | Input::ReceiveEnd) => {
                        assert!(matches!(step, Step::Fault(Fault::Stream(ErrorCode::STREAM_CLOSED, _))), "{what}");
                    }
                    (State::Open, Input::ReceiveEnd) => assert_eq!(step, Step::To(State::HalfClosedRemote), "{what}"),
                    (State::HalfClosedLocal, Input::ReceiveEnd) => assert_eq!(step, Step::To(State::Ended), "{what}"),
                    (State::Open, Input::SendEnd) => assert_eq!(step, Step::To(State::HalfClosedLocal), "{what}"),
                    (State::HalfClosedRemote, Input::SendEnd) => assert_eq!(step, Step::To(State::Ended), "{what}"),
                    (State::HalfClosedLocal, Input::Send | Input::SendEnd) => assert_eq!(step, Step::Never, "{what}"),
                    (State::Open | State::HalfClosedLocal | State::HalfClosedRemote, _) => {
                        assert_eq!(step, Step::To(state), "{what}");
                    }
                    // closed: what was in flight is ignored; after the peer's own END_STREAM or RST_STREAM more of it
                    // is an error, WINDOW_UPDATE, RST_STREAM and PRIORITY excepted.
                    (_, Input::Send | Input::SendEnd | Input::SendReset) => assert_eq!(step, Step::Never, "{what}"),
                    (State::ResetByUs, _)
                    | (_, Input::ReceiveReset | Input::ReceiveWindowUpdate | Input::ReceivePriority) => {
                        assert_eq!(step, Step::Ignore, "{what}");
                    }
                    (State::Ended, _) => {
                        assert!(matches!(step, Step::Fault(Fault::Connection(ErrorCode::STREAM_CLOSED, _))), "{what}");
                    }
                    (State::ResetByPeer, _) => {
                        assert!(matches!(step, Step::Fault(Fault::Stream(ErrorCode::STREAM_CLOSED, _))), "{what}");
                    }
                }
            }
        }
    }
}
