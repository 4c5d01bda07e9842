//! The messages of gRPC's own that a channel reads and writes, by hand: an ORCA load report (gRFC A51), and those of health
//! checks (gRFC A17).

use std::time::Duration;

use farcall_core::wire::{Reader, Value, put_bytes, put_varint};

/// What a server says of its load, as far as weights need it.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct Load {
    /// The share of its capacity that is in use; may be more than 1.
    pub(crate) utilization: f64,
    /// Calls a second.
    pub(crate) rate: f64,
    /// Failures a second.
    pub(crate) failures: f64,
}

/// Reads an `OrcaLoadReport`. The utilization is the greatest of those `wanted` (`cpu_utilization`, `named_metrics.key`, ...: gRFC
/// A114); without any that is there the application's, and without that one the processor's.
pub(crate) fn load(report: &[u8], wanted: &[String]) -> Option<Load> {
    let mut load = Load::default();
    let (mut application, mut cpu, mut greatest) = (0.0, 0.0, 0.0f64);
    let mut reader = Reader::new(report);
    while let Some((field, value)) = reader.field()? {
        let (group, key, number) = match (field, value) {
            (1, Value::Double(number)) => ("cpu_utilization", "", number),
            (2, Value::Double(number)) => ("mem_utilization", "", number),
            (9, Value::Double(number)) => ("application_utilization", "", number),
            (6, Value::Double(number)) => ("rps_fractional", "", number),
            (7, Value::Double(number)) => ("eps", "", number),
            (5, Value::Bytes(entry)) => entry_of("utilization", entry)?,
            (8, Value::Bytes(entry)) => entry_of("named_metrics", entry)?,
            _ => continue,
        };
        match group {
            "cpu_utilization" => cpu = number,
            "application_utilization" => application = number,
            "rps_fractional" => load.rate = number,
            "eps" => load.failures = number,
            _ => {}
        }
        if number.is_finite() && wanted.iter().any(|name| is_name(name, group, key)) {
            greatest = greatest.max(number);
        }
    }
    let candidates = [greatest, application, cpu];
    load.utilization = candidates.into_iter().find(|number| *number > 0.0).unwrap_or_default();
    Some(load)
}

/// A `grpc.health.v1.HealthCheckRequest` for this service.
pub(crate) fn health_request(service: &str) -> Vec<u8> {
    let mut request = Vec::new();
    if !service.is_empty() {
        put_bytes(&mut request, 1, service.as_bytes());
    }
    request
}

/// An `xds.service.orca.v3.OrcaLoadReportRequest` for a report in each such period.
pub(crate) fn load_request(period: Duration) -> Vec<u8> {
    let (mut interval, mut request) = (Vec::new(), Vec::new());
    for (field, number) in [(1, period.as_secs()), (2, period.subsec_nanos().into())] {
        if number > 0 {
            put_varint(&mut interval, field, number);
        }
    }
    put_bytes(&mut request, 1, &interval);
    request
}

/// Whether a `grpc.health.v1.HealthCheckResponse` says SERVING; `None` for what is no such message.
pub(crate) fn is_serving(response: &[u8]) -> Option<bool> {
    let mut status = 0;
    let mut reader = Reader::new(response);
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Varint(number)) => status = number,
            (1, _) => return None,
            _ => {}
        }
    }
    Some(status == 1)
}

/// Whether `name` is `group`, or `group.key`.
fn is_name(name: &str, group: &str, key: &str) -> bool {
    match name.split_once('.') {
        None => key.is_empty() && name == group,
        Some((of, rest)) => of == group && rest == key,
    }
}

/// An entry of a map from names to doubles.
fn entry_of<'a>(group: &'static str, entry: &'a [u8]) -> Option<(&'static str, &'a str, f64)> {
    let (mut key, mut number) = ("", 0.0);
    let mut reader = Reader::new(entry);
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Bytes(bytes)) => key = std::str::from_utf8(bytes).ok()?,
            (2, Value::Double(double)) => number = double,
            _ => {}
        }
    }
    Some((group, key, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(field: u8, number: f64) -> Vec<u8> {
        [&[field << 3 | 1][..], &number.to_le_bytes()].concat()
    }

    fn entry(field: u8, key: &str, number: f64) -> Vec<u8> {
        let name = [&[1 << 3 | 2, u8::try_from(key.len()).unwrap()][..], key.as_bytes()].concat();
        let entry = [name, double(2, number)].concat();
        [&[field << 3 | 2, u8::try_from(entry.len()).unwrap()][..], &entry].concat()
    }

    #[test]
    fn the_application_s_utilization_goes_before_the_processor_s_and_what_is_wanted_before_both() {
        let cpu = double(1, 0.5);
        let both = [cpu.clone(), double(9, 0.25), double(6, 100.0), double(7, 2.0)].concat();
        assert_eq!(load(&cpu, &[]), Some(Load { utilization: 0.5, rate: 0.0, failures: 0.0 }));
        assert_eq!(load(&both, &[]), Some(Load { utilization: 0.25, rate: 100.0, failures: 2.0 }));
        let wanted = ["named_metrics.queue".to_owned(), "mem_utilization".to_owned(), "utilization.disk".to_owned()];
        let named = [both.clone(), entry(8, "queue", 0.3), entry(8, "other", 9.0), entry(5, "disk", 0.7)].concat();
        assert_eq!(load(&named, &wanted).unwrap().utilization, 0.7);
        assert_eq!(load(&named, &wanted[..1]).unwrap().utilization, 0.3);
        assert_eq!(load(&both, &wanted).unwrap().utilization, 0.25, "none of them is there");
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_no_message_is_nothing() {
        let strange = [&[3 << 3, 0x80, 1][..], &[14 << 3 | 5, 1, 2, 3, 4], &double(1, 0.5)].concat();
        assert_eq!(load(&strange, &[]).unwrap().utilization, 0.5);
        assert_eq!(load(&[], &[]), Some(Load::default()));
        let report = [double(1, 0.5), entry(8, "a", 1.0)].concat();
        for end in 1..report.len() {
            if end != 9 {
                assert_eq!(load(&report[..end], &[]), None, "cut at {end}");
            }
        }
        for nonsense in
            [&[1 << 3 | 3][..], &[0x80; 11], &[1 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
        {
            assert_eq!(load(nonsense, &[]), None);
        }
    }

    #[test]
    fn loads_are_asked_for() {
        assert_eq!(load_request(Duration::from_secs(10)), [10, 2, 8, 10]);
        assert_eq!(load_request(Duration::from_millis(1500)), [10, 8, 8, 1, 16, 0x80, 0xca, 0xb5, 0xee, 1]);
        assert_eq!(load_request(Duration::ZERO), [10, 0]);
    }

    #[test]
    fn health_is_asked_for_and_read() {
        assert_eq!(health_request(""), [0u8; 0]);
        assert_eq!(health_request("a.B"), b"\x0a\x03a.B");
        let long = health_request(&"x".repeat(300));
        assert_eq!((long.len(), &long[..3]), (303, &[0x0a, 0xac, 0x02][..]));
        for (response, serving) in [
            (&[][..], Some(false)),
            (&[8, 0], Some(false)),
            (&[8, 1], Some(true)),
            (&[8, 2], Some(false)),
            (&[8, 3], Some(false)),
            (&[8, 2, 8, 1], Some(true)),
            (&[0x92, 1, 1, 7, 8, 1], Some(true)),
            (&[8], None),
            (&[10, 1, 1], None),
            (&[0xff], None),
        ] {
            assert_eq!(is_serving(response), serving, "{response:?}");
        }
    }

    #[test]
    fn no_bytes_are_too_strange() {
        let mut random = crate::random::Random::new(7);
        for _ in 0..20_000 {
            let len = random.next() % 40;
            let strange: Vec<u8> = (0..len).map(|_| random.next().to_le_bytes()[0] & 0x8f).collect();
            let _ = is_serving(&strange);
            let report = [double(1, 0.5), strange].concat();
            if let Some(load) = load(&report, &["named_metrics.a".to_owned()]) {
                assert!(load.utilization >= 0.0, "{report:?}");
            }
        }
    }
}
