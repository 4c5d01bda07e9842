use super::*;

#[test]
fn a_report_has_what_was_measured_and_no_more() {
    let mut report = LoadReport::new();
    assert!(report.is_empty() && report.encode().is_empty());
    report.set_cpu_utilization(0.0);
    assert!(!report.is_empty(), "nothing to do is a measure too");
    assert_eq!(report.encode(), b"\x09\0\0\0\0\0\0\0\0");
    report.clear();
    assert!(report.is_empty());

    report.set_cpu_utilization(1.5);
    report.set_memory_utilization(0.25);
    report.set_qps(100.0);
    report.set_eps(2.0);
    report.set_application_utilization(0.5);
    report.set_request_cost("db", 3.0);
    report.set_utilization("disk", 1.0);
    report.set_named_metric("queue", -7.0);
    let (mut numbers, mut entries) = (Vec::new(), Vec::new());
    let encoded = report.encode();
    let mut reader = Reader::new(&encoded);
    while let Some((field, value)) = reader.field().unwrap() {
        match value {
            Value::Double(number) => numbers.push((field, number)),
            Value::Bytes(entry) => {
                let mut reader = Reader::new(entry);
                let key = reader.field().unwrap().unwrap();
                let number = reader.field().unwrap().unwrap();
                entries.push((field, key, number));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(numbers, [(1, 1.5), (2, 0.25), (6, 100.0), (7, 2.0), (9, 0.5)]);
    let entry =
        |field, key: &'static str, number| (field, (1, Value::Bytes(key.as_bytes())), (2, Value::Double(number)));
    assert_eq!(entries, [entry(4, "db", 3.0), entry(5, "disk", 1.0), entry(8, "queue", -7.0)]);
}

#[test]
fn values_that_cannot_be_are_left_out() {
    for strange in [f64::NAN, f64::INFINITY, -0.1] {
        let mut report = LoadReport::new();
        report.set_cpu_utilization(strange);
        report.set_memory_utilization(strange);
        report.set_application_utilization(strange);
        report.set_qps(strange);
        report.set_eps(strange);
        report.set_utilization("disk", strange);
        assert!(report.is_empty(), "{strange}: {report:?}");
    }
    let mut report = LoadReport::new();
    report.set_memory_utilization(1.1);
    report.set_utilization("disk", 1.1);
    report.set_request_cost("db", f64::NAN);
    report.set_named_metric("queue", f64::INFINITY);
    assert!(report.is_empty());
    report.set_memory_utilization(0.5);
    report.set_memory_utilization(f64::NAN);
    assert_eq!(report.encode().len(), 9, "the last that could be stays");
}

#[test]
fn a_call_s_report_goes_over_its_server_s() {
    let (mut call, mut server) = (LoadReport::new(), LoadReport::new());
    call.set_cpu_utilization(0.1);
    call.set_named_metric("both", 1.0);
    server.set_cpu_utilization(0.9);
    server.set_memory_utilization(0.2);
    server.set_application_utilization(0.3);
    server.set_qps(4.0);
    server.set_eps(5.0);
    server.set_named_metric("both", 2.0);
    server.set_named_metric("server", 3.0);
    server.set_utilization("disk", 0.6);
    server.set_request_cost("db", 7.0);
    let mut expected = server.clone();
    expected.set_cpu_utilization(0.1);
    expected.set_named_metric("both", 1.0);
    assert_eq!(call.or(&server), expected);
    assert_eq!(LoadReport::new().or(&server), server);
    assert_eq!(server.clone().or(&LoadReport::new()), server);
}

#[test]
fn the_interval_is_the_client_s_and_no_shorter_than_the_least() {
    let least = Duration::from_secs(30);
    let asks = |seconds: u64, nanos: u64| {
        let (mut duration, mut request) = (Vec::new(), Vec::new());
        farcall_core::wire::put_varint(&mut duration, 1, seconds);
        farcall_core::wire::put_varint(&mut duration, 2, nanos);
        put_bytes(&mut request, 1, &duration);
        put_bytes(&mut request, 2, b"cost");
        request
    };
    assert_eq!(interval(&[], least), Some(least));
    assert_eq!(interval(&asks(29, 999_999_999), least), Some(least));
    assert_eq!(interval(&asks(30, 1), least), Some(least + Duration::from_nanos(1)));
    assert_eq!(interval(&asks(60, 0), Duration::ZERO), Some(Duration::from_secs(60)));
    for strange in [asks(u64::MAX, 0), asks(1 << 63, 0), asks(5, 1_000_000_000)] {
        assert_eq!(interval(&strange, least), Some(least));
    }
    for nonsense in [&b"\x0a\x02\x08"[..], b"\x08\x01", b"\x0a\x01\xff", b"\xff"] {
        assert_eq!(interval(nonsense, least), None, "{nonsense:?}");
    }
}
