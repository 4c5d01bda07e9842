//! What a server or a channel says to its operator of peers that strike a bound or break the protocol: which causes
//! there are, and how often each may be spoken of. Who writes the lines, and where to, is the hands' business.

use std::{fmt, time::Instant};

use crate::{ConnectionError, ErrorCode, limits::REPORT_INTERVAL};

/// Why something was turned away or cut off.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The peer went past one of [`Limits`](crate::Limits): a stream was refused, or the connection ended with
    /// ENHANCE_YOUR_CALM.
    Bound,
    /// Messages wait, in their windows or compressed, because those at hand have all the memory that
    /// [`Limits`](crate::Limits) or a [`Budget`](crate::Budget) allow.
    HeldBack,
    /// The peer broke HTTP/2, and the connection ended.
    Protocol,
    /// The peer speaks something else than HTTP/2.
    NotHttp2,
    /// The peer was silent for too long, and the connection ended.
    Silent,
    /// The peer ended the connection with an error of its own (GOAWAY).
    GoneAway,
    /// The TLS handshake failed.
    Handshake,
    /// The peer left within the TLS handshake, as probes do, and clients that do not trust the certificate.
    HandshakeLeft,
    /// There are as many connections as the server may have.
    Connections,
    /// The system does not let a server accept connections, mostly for want of file descriptors.
    Accept,
}

impl Cause {
    /// How many there are.
    const COUNT: usize = 10;

    /// A name that stays: for filters and dashboards.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Bound => "bound",
            Cause::HeldBack => "held_back",
            Cause::Protocol => "protocol",
            Cause::NotHttp2 => "not_http2",
            Cause::Silent => "silent",
            Cause::GoneAway => "goaway",
            Cause::Handshake => "handshake",
            Cause::HandshakeLeft => "handshake_left",
            Cause::Connections => "connections",
            Cause::Accept => "accept",
        }
    }

    /// Whether somebody should look into it. The others are what any open port sees: scanners, and clients that leave.
    pub fn is_warning(self) -> bool {
        match self {
            Cause::Bound | Cause::Protocol | Cause::Handshake | Cause::Connections | Cause::Accept => true,
            Cause::HeldBack | Cause::NotHttp2 | Cause::Silent | Cause::GoneAway | Cause::HandshakeLeft => false,
        }
    }

    /// What the end of a connection has to say of its peer, if anything: connections also end because it is time.
    pub fn of(error: &ConnectionError) -> Option<Cause> {
        match error {
            ConnectionError::PeerMisbehaved(ErrorCode::ENHANCE_YOUR_CALM, _) => Some(Cause::Bound),
            ConnectionError::PeerMisbehaved(ErrorCode::SETTINGS_TIMEOUT, _) | ConnectionError::TimedOut(_) => {
                Some(Cause::Silent)
            }
            ConnectionError::PeerMisbehaved(..) => Some(Cause::Protocol),
            ConnectionError::PeerIncompatible(_) => Some(Cause::NotHttp2),
            ConnectionError::GoneAway(code, _) if *code != ErrorCode::NO_ERROR => Some(Cause::GoneAway),
            ConnectionError::GoneAway(..) | ConnectionError::TransportClosed(_) | ConnectionError::ClosedLocally => {
                None
            }
        }
    }

    fn happened(self) -> &'static str {
        match self {
            Cause::Bound => "a peer struck a limit",
            Cause::HeldBack => "messages are held back",
            Cause::Protocol => "a peer broke the protocol",
            Cause::NotHttp2 => "a peer does not speak HTTP/2",
            Cause::Silent => "a peer was silent for too long",
            Cause::GoneAway => "a peer ended the connection with an error",
            Cause::Handshake => "a TLS handshake failed",
            Cause::HandshakeLeft => "a peer left within the TLS handshake",
            Cause::Connections => "a connection was turned away",
            Cause::Accept => "connections cannot be accepted",
        }
    }
}

/// Says of each cause at most one line in each [`REPORT_INTERVAL`], and counts what it leaves out: a peer that strikes
/// again and again must not fill a disk.
#[derive(Debug, Default)]
pub struct Reporter {
    causes: [Spoken; Cause::COUNT],
}

#[derive(Clone, Copy, Debug, Default)]
struct Spoken {
    last: Option<Instant>,
    left_out: u64,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What happened.
    pub cause: Cause,
    /// Who did it, as gRPC writes addresses; empty when it is nobody in particular.
    pub peer: String,
    /// More of it, in words.
    pub reason: String,
    /// How often since the last line of this cause, this time included.
    pub count: u64,
}

impl Reporter {
    /// Something happened `times` times. The line to write, or `None` for silence.
    pub fn report(
        &mut self,
        cause: Cause,
        times: u64,
        peer: &str,
        reason: impl FnOnce() -> String,
        now: Instant,
    ) -> Option<Report> {
        let spoken = &mut self.causes[cause as usize];
        spoken.left_out = spoken.left_out.saturating_add(times);
        if spoken.last.is_some_and(|last| now.saturating_duration_since(last) < REPORT_INTERVAL) {
            return None;
        }
        spoken.last = Some(now);
        let count = std::mem::take(&mut spoken.left_out);
        Some(Report { cause, peer: peer.to_owned(), reason: reason(), count })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.happened(), self.reason)?;
        match (self.peer.as_str(), self.count) {
            ("", 1) => Ok(()),
            ("", count) => write!(f, " ({count} times since the last such line)"),
            (peer, 1) => write!(f, " (peer {peer})"),
            (peer, count) => write!(f, " (peer {peer}; {count} times since the last such line)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Cause, Report, Reporter};
    use crate::{ConnectionError, ErrorCode, limits::REPORT_INTERVAL};

    fn report(reporter: &mut Reporter, cause: Cause, now: Instant) -> Option<u64> {
        reporter.report(cause, 1, "", String::new, now).map(|report| report.count)
    }

    #[test]
    fn a_cause_is_spoken_of_once_in_an_interval_and_counted() {
        let mut reporter = Reporter::default();
        let start = Instant::now();
        assert_eq!(report(&mut reporter, Cause::Bound, start), Some(1));
        let last = start + REPORT_INTERVAL - Duration::from_nanos(1);
        for _ in 0..1000 {
            assert_eq!(report(&mut reporter, Cause::Bound, last), None);
        }
        assert_eq!(report(&mut reporter, Cause::Bound, start + REPORT_INTERVAL), Some(1001));
        assert_eq!(report(&mut reporter, Cause::Bound, start + REPORT_INTERVAL), None);
        assert_eq!(report(&mut reporter, Cause::Bound, start + 2 * REPORT_INTERVAL), Some(2));
    }

    #[test]
    fn one_cause_does_not_silence_another() {
        let mut reporter = Reporter::default();
        let now = Instant::now();
        assert_eq!(report(&mut reporter, Cause::Bound, now), Some(1));
        assert_eq!(report(&mut reporter, Cause::Accept, now), Some(1));
        assert_eq!(report(&mut reporter, Cause::Protocol, now), Some(1));
    }

    #[test]
    fn what_happened_many_times_counts_as_many() {
        let mut reporter = Reporter::default();
        let now = Instant::now();
        assert_eq!(reporter.report(Cause::Bound, 7, "", String::new, now).map(|report| report.count), Some(7));
    }

    #[test]
    fn a_line_says_who_what_and_how_often() {
        let line = |peer: &str, count| Report {
            cause: Cause::Handshake,
            peer: peer.to_owned(),
            reason: "no HTTP/2".to_owned(),
            count,
        };
        assert_eq!(line("ipv4:1.2.3.4:5", 1).to_string(), "a TLS handshake failed: no HTTP/2 (peer ipv4:1.2.3.4:5)");
        assert_eq!(
            line("ipv4:1.2.3.4:5", 9).to_string(),
            "a TLS handshake failed: no HTTP/2 (peer ipv4:1.2.3.4:5; 9 times since the last such line)"
        );
        assert_eq!(line("", 1).to_string(), "a TLS handshake failed: no HTTP/2");
        assert_eq!(line("", 2).to_string(), "a TLS handshake failed: no HTTP/2 (2 times since the last such line)");
    }

    #[test]
    fn connections_that_end_because_it_is_time_are_nobodys_fault() {
        let of = |error| Cause::of(&error);
        assert_eq!(of(ConnectionError::ClosedLocally), None);
        assert_eq!(of(ConnectionError::TransportClosed("Socket closed".to_owned())), None);
        assert_eq!(of(ConnectionError::GoneAway(ErrorCode::NO_ERROR, Vec::new())), None);
        assert_eq!(of(ConnectionError::GoneAway(ErrorCode::PROTOCOL_ERROR, Vec::new())), Some(Cause::GoneAway));
        assert_eq!(of(ConnectionError::PeerMisbehaved(ErrorCode::ENHANCE_YOUR_CALM, "")), Some(Cause::Bound));
        assert_eq!(of(ConnectionError::PeerMisbehaved(ErrorCode::SETTINGS_TIMEOUT, "")), Some(Cause::Silent));
        assert_eq!(of(ConnectionError::PeerMisbehaved(ErrorCode::PROTOCOL_ERROR, "")), Some(Cause::Protocol));
        assert_eq!(of(ConnectionError::TimedOut("keepalive")), Some(Cause::Silent));
        assert_eq!(of(ConnectionError::PeerIncompatible("")), Some(Cause::NotHttp2));
    }
}
