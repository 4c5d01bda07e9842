//! What a channel asks of the DNS beside a host's addresses, and resolvers of its own. Stepped with virtual time.

use std::{sync::Arc, time::Duration};

use farcall_channel::{
    Address, Channel, Config, Connectivity, DnsConfig, Head, How, Limits, Note, ServiceConfig, Target, Throttle,
    balancer::Registry,
    resolver::{Answer, Client, Endpoint, Found, Query, Question, Records, Service, choose},
};
use farcall_core::{Code, Status};

use crate::bench::{Bench, at};

fn config(dns: DnsConfig) -> Config {
    Config { dns, min_resolution_interval: Duration::ZERO, ..Config::new(7) }
}

fn with_texts() -> Config {
    config(DnsConfig { service_config: Some(Client::default()), ..DnsConfig::default() })
}

fn with_service() -> Config {
    config(DnsConfig { service: Some("_grpc._tcp".to_owned()), ..DnsConfig::default() })
}

fn found(addresses: &[&str]) -> Result<Answer, String> {
    Ok(Answer::addresses(addresses.iter().map(|address| Address::Ip(address.parse().unwrap()))))
}

fn host(host: &str, port: u16) -> Query {
    Query::Host { host: host.to_owned(), port }
}

fn records(name: &str, kind: Records) -> Query {
    Query::Records(Question { name: name.to_owned(), kind, server: None })
}

/// Answers this query, wherever it stands among those under way.
fn tell(bench: &mut Bench, query: &Query, answer: Result<Answer, String>) {
    let index = bench.queries.iter().position(|(_, asked)| asked == query);
    let index = index.unwrap_or_else(|| panic!("{query:?} is not asked: {:?}", bench.queries));
    bench.queries.swap(0, index);
    bench.tell(answer);
}

fn timeout(bench: &Bench) -> Option<Duration> {
    bench.snapshot.select(&Head { path: "/a.B/C" }).unwrap().method.and_then(|method| method.timeout)
}

fn text(seconds: u64) -> Answer {
    let config = format!(r#"{{"methodConfig":[{{"name":[{{}}],"timeout":"{seconds}s"}}]}}"#);
    Answer::Texts(vec!["v=spf1".to_owned(), format!(r#"grpc_config=[{{"serviceConfig":{config}}}]"#)])
}

// TXT.

#[test]
fn texts_are_asked_for_beside_the_host_if_that_is_wanted_and_both_are_waited_for() {
    let (a, txt) = (host("name", 1), records("_grpc_config.name", Records::Texts));
    for host_first in [true, false] {
        let mut bench = Bench::with("name:1", with_texts());
        bench.connect();
        let asked: Vec<&Query> = bench.queries.iter().map(|(_, query)| query).collect();
        assert_eq!(asked, [&a, &txt]);
        let answers = [(&a, found(&["127.0.0.1:1"])), (&txt, Ok(text(3)))];
        let [first, second] = if host_first {
            answers
        } else {
            let [a, b] = answers;
            [b, a]
        };
        tell(&mut bench, first.0, first.1);
        assert_eq!(bench.channel.state(), Connectivity::Connecting);
        assert!(bench.dialling().is_empty());
        tell(&mut bench, second.0, second.1);
        bench.accept(&at(1));
        assert_eq!(timeout(&bench), Some(Duration::from_secs(3)));
    }
}

#[test]
fn calls_select_once_it_is_known_what_is_asked_of_them() {
    for (target, config, knows) in [
        ("name:1", Config::new(7), true),
        ("127.0.0.1:1", with_texts(), true),
        ("passthrough:///name:1", with_texts(), true),
        ("name:1", with_texts(), false),
    ] {
        let mut bench = Bench::with(target, config);
        assert_eq!(bench.snapshot.knows(), knows, "{target}");
        bench.connect();
        assert_eq!(bench.snapshot.knows(), knows, "{target}");
        if !knows {
            tell(&mut bench, &host("name", 1), found(&["127.0.0.1:1"]));
            tell(&mut bench, &records("_grpc_config.name", Records::Texts), Ok(text(3)));
            assert!(bench.snapshot.knows());
        }
    }
}

#[test]
fn no_text_is_asked_for_unless_it_is_wanted_nor_for_addresses_nor_behind_a_proxy() {
    let proxy = farcall_channel::ProxyChoice { option: Some("http://proxy:3"), ..Default::default() };
    let proxy = proxy.proxy_for("name").unwrap();
    for (target, config, expected) in [
        ("name:1", Config::new(7), vec![host("name", 1)]),
        ("passthrough:///name:1", with_texts(), vec![host("name", 1)]),
        ("name:1", Config { proxy, ..with_texts() }, vec![host("proxy", 3)]),
        ("127.0.0.1:1", with_texts(), vec![]),
    ] {
        let mut bench = Bench::with(target, config);
        bench.connect();
        let asked: Vec<Query> = bench.queries.iter().map(|(_, query)| query.clone()).collect();
        assert_eq!(asked, expected, "{target}");
    }
}

#[test]
fn without_a_text_the_channels_own_service_config_counts_and_a_failed_look_up_keeps_the_last() {
    let own = ServiceConfig::parse(r#"{"methodConfig":[{"name":[{}],"timeout":"9s"}]}"#).unwrap();
    let mut bench = Bench::with("name:1", Config { service_config: Arc::new(own), ..with_texts() });
    let (a, txt) = (host("name", 1), records("_grpc_config.name", Records::Texts));
    bench.connect();
    let round = |bench: &mut Bench, answer: Result<Answer, String>| {
        tell(bench, &txt, answer);
        tell(bench, &a, found(&["127.0.0.1:1"]));
        bench.accept(&at(1));
        let timeout = timeout(bench);
        bench.pass(Duration::from_secs(5));
        bench.lose(&at(1), How::Draining, true);
        bench.connect();
        timeout.unwrap().as_secs()
    };
    assert_eq!(round(&mut bench, Err("Timeout while contacting DNS servers".to_owned())), 9, "there is none before");
    assert_eq!(bench.notes.len(), 1);
    assert_eq!(round(&mut bench, Ok(text(3))), 3);
    assert_eq!(round(&mut bench, Err("Timeout while contacting DNS servers".to_owned())), 3);
    assert_eq!(
        bench.notes.last(),
        Some(&Note::Resolver(
            "TXT lookup failed for _grpc_config.name: Timeout while contacting DNS servers".to_owned()
        ))
    );
    let bad = || Ok(Answer::Texts(vec!["grpc_config={".to_owned()]));
    assert_eq!(round(&mut bench, bad()), 3);
    assert!(matches!(bench.notes.last(), Some(Note::InvalidServiceConfig(_))));
    assert_eq!(round(&mut bench, Ok(Answer::Texts(Vec::new()))), 9);
    assert_eq!(round(&mut bench, bad()), 9, "that there was none is what was said last");
}

#[test]
fn throttling_comes_with_the_config_and_keeps_its_share_when_that_changes() {
    let (a, txt) = (host("name", 1), records("_grpc_config.name", Records::Texts));
    let refreshed = Config { refresh_interval: Some(Duration::from_secs(5)), ..with_texts() };
    let mut bench = Bench::with("name:1", refreshed);
    bench.connect();
    assert!(bench.snapshot.throttle().is_none());
    let mut before: Option<Arc<Throttle>> = None;
    for (tokens, expected, lives_on) in [(10, 10_000, false), (10, 10_000, true), (20, 20_000, false)] {
        let config = format!(r#"{{"retryThrottling":{{"maxTokens":{tokens},"tokenRatio":0.1}}}}"#);
        let text = Answer::Texts(vec![format!(r#"grpc_config=[{{"serviceConfig":{config}}}]"#)]);
        tell(&mut bench, &txt, Ok(text));
        tell(&mut bench, &a, found(&["127.0.0.1:1"]));
        let throttle = Arc::clone(bench.snapshot.throttle().unwrap());
        assert_eq!(throttle.tokens(), expected);
        let same = before.replace(Arc::clone(&throttle)).is_some_and(|before| Arc::ptr_eq(&before, &throttle));
        assert_eq!(same, lives_on, "{tokens}");
        bench.pass(Duration::from_secs(5));
    }
}

#[test]
fn a_bad_text_and_none_before_fails_calls_with_what_is_wrong_until_it_is_mended() {
    let (a, txt) = (host("name", 1), records("_grpc_config.name", Records::Texts));
    let mut bench = Bench::with("name:1", with_texts());
    bench.queue(1, false);
    bench.queue(2, true);
    tell(&mut bench, &a, found(&["127.0.0.1:1"]));
    tell(&mut bench, &txt, Ok(Answer::Texts(vec!["grpc_config=[{}]".to_owned()])));
    let wrong = "errors parsing service config choices: [field:[0].serviceConfig error:field not present]";
    assert_eq!(bench.failed[0].1.status, Status::new(Code::Unavailable, wrong));
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    bench.sleep();
    tell(&mut bench, &a, found(&["127.0.0.1:1"]));
    tell(&mut bench, &txt, Ok(text(3)));
    bench.accept(&at(1));
    assert_eq!(bench.started, [(2, at(1))]);
}

#[test]
fn choices_are_by_language_host_name_and_percentage() {
    let registry = Registry::default();
    let client = Client { languages: vec!["rust".to_owned()], host_name: Some("box".to_owned()) };
    let chosen = |choices: &str, random| {
        let config = choose(choices, &client, random, &registry).unwrap();
        config.map(|config| config.method("/a/b").unwrap().timeout.unwrap().as_secs())
    };
    let choice = |seconds: u64, criteria: &str| {
        format!(r#"{{{criteria}"serviceConfig":{{"methodConfig":[{{"name":[{{}}],"timeout":"{seconds}s"}}]}}}}"#)
    };
    for (criteria, matches) in [
        ("", true),
        (r#""clientLanguage":[],"#, true),
        (r#""clientLanguage":["go","RUST"],"#, true),
        (r#""clientLanguage":["go"],"#, false),
        (r#""clientHostname":[],"#, true),
        (r#""clientHostname":["other","box"],"#, true),
        (r#""clientHostname":["Box"],"#, false),
        (r#""clientLanguage":["rust"],"clientHostname":["other"],"#, false),
        (r#""percentage":100,"#, true),
        (r#""percentage":0,"#, false),
    ] {
        let list = format!("[{},{}]", choice(1, criteria), choice(2, ""));
        assert_eq!(chosen(&list, 7), Some(if matches { 1 } else { 2 }), "{criteria}");
    }
    let list = format!("[{}]", choice(1, r#""percentage":30,"#));
    assert_eq!((0..1000).filter(|random| chosen(&list, *random).is_some()).count(), 300);
    assert_eq!(chosen("[]", 7), None);
}

#[test]
fn all_that_is_wrong_with_choices_is_said() {
    let registry = Registry::default();
    let head = "errors parsing service config choices: ";
    for (choices, text) in [
        ("{", "JSON parsing failed: [EOF while parsing an object at line 1 column 1]"),
        ("{}", "[field: error:is not an array]"),
        (
            r#"[1,{"serviceConfig":1}]"#,
            "[field:[0] error:is not an object; field:[1].serviceConfig error:is not an object]",
        ),
        (r#"[{"serviceConfig":{},"x":1}]"#, "[field:[0].x error:no such field]"),
        (
            r#"[{"clientLanguage":"go","clientHostname":[1],"serviceConfig":{}}]"#,
            "[field:[0].clientLanguage error:is not an array; field:[0].clientHostname[0] error:is not a string]",
        ),
        // A fault makes all of it invalid, also after a choice that would do.
        (
            r#"[{"serviceConfig":{}},{"serviceConfig":{},"percentage":101}]"#,
            "[field:[1].percentage error:is not a whole number from 0 to 100]",
        ),
        (
            r#"[{"serviceConfig":{},"percentage":1.5}]"#,
            "[field:[0].percentage error:is not a whole number from 0 to 100]",
        ),
    ] {
        let error = choose(choices, &Client::default(), 0, &registry).unwrap_err();
        assert_eq!(error, format!("{head}{text}"), "{choices}");
    }
    let chosen = r#"[{"serviceConfig":{"methodConfig":1}}]"#;
    let error = choose(chosen, &Client::default(), 0, &registry).unwrap_err();
    assert_eq!(error, "errors validating service config: [field:methodConfig error:is not an array]");
}

// SRV.

fn services(list: &[(&str, u16, u16, u16)]) -> Result<Answer, String> {
    let service = |&(host, port, priority, weight): &(&str, u16, u16, u16)| Service {
        host: host.to_owned(),
        port,
        priority,
        weight,
    };
    Ok(Answer::Services(list.iter().map(service).collect()))
}

#[test]
fn hosts_of_a_service_are_looked_up_and_those_of_the_lowest_priority_with_addresses_are_used() {
    let mut bench = Bench::with("name:1", with_service());
    bench.connect();
    let srv = records("_grpc._tcp.name", Records::Services);
    tell(&mut bench, &srv, services(&[("c", 3, 2, 0), ("a", 1, 1, 5), ("b", 2, 1, 0), (".", 9, 0, 0)]));
    tell(&mut bench, &host("c", 3), found(&["127.0.0.3:3"]));
    tell(&mut bench, &host("a", 1), Err("Domain name not found".to_owned()));
    tell(&mut bench, &host("b", 2), found(&["127.0.0.1:1", "127.0.0.2:1"]));
    assert_eq!(bench.dialling(), [at(1)]);
    bench.refuse(&at(1));
    bench.refuse(&at(2));
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure, "{:?}", bench.dialling());
}

#[test]
fn a_service_without_hosts_fails_calls_by_name() {
    for (answer, why) in [
        (services(&[]), "no records"),
        (services(&[(".", 0, 0, 0)]), "no records"),
        (Err("Timeout while contacting DNS servers".to_owned()), "Timeout while contacting DNS servers"),
    ] {
        let mut bench = Bench::with("name:1", with_service());
        bench.connect();
        bench.tell(answer);
        let text = format!(
            "errors resolving name:1: [field:service lookup error:SRV lookup failed for _grpc._tcp.name: {why}]"
        );
        assert_eq!(bench.refusal(), Status::new(Code::Unavailable, text));
    }
}

#[test]
fn hosts_of_a_service_are_used_up_to_the_bound_and_not_past_it() {
    for (count, noted) in [(3, false), (4, true)] {
        let limits = Limits { services: 3, ..Limits::default() };
        let mut bench = Bench::with("name:1", Config { limits, ..with_service() });
        bench.connect();
        let all = [("a", 1, 0, 0), ("b", 1, 0, 0), ("c", 1, 0, 0), ("d", 1, 0, 0)];
        bench.tell(services(&all[..count]));
        assert_eq!((bench.queries.len(), bench.notes.len()), (3, usize::from(noted)));
    }
}

#[test]
fn a_name_server_in_the_target_is_asked_for_everything() {
    let server = Some("10.0.0.9:5353".parse().unwrap());
    let records = |name: &str, kind| Query::Records(Question { name: name.to_owned(), kind, server });
    let dns = DnsConfig { service_config: Some(Client::default()), ..DnsConfig::default() };
    let mut bench = Bench::with("dns://10.0.0.9:5353/name:1", config(dns));
    bench.connect();
    tell(&mut bench, &records("_grpc_config.name", Records::Texts), Ok(text(3)));
    tell(&mut bench, &records("name", Records::Addresses(1)), found(&["127.0.0.1:1"]));
    bench.accept(&at(1));
    assert_eq!(timeout(&bench), Some(Duration::from_secs(3)));
}

#[test]
fn idleness_stops_all_that_is_asked() {
    let mut bench = Bench::with("name:1", with_texts());
    bench.connect();
    assert_eq!(bench.queries.len(), 2);
    let (id, _) = bench.queries[0].clone();
    bench.channel.shutdown(&Status::new(Code::Cancelled, "bye"), bench.now);
    bench.drain();
    assert!(bench.queries.is_empty());
    bench.channel.handle_answer(id, found(&["127.0.0.1:1"]), bench.now);
    bench.drain();
    bench.assert_nothing_left();
}

#[test]
fn ten_thousand_addresses_are_no_trouble() {
    let mut bench = Bench::with("name:1", Config::new(7));
    bench.connect();
    let all = (0..10_000u32).map(|number| {
        let [.., high, low] = number.to_be_bytes();
        Address::Ip(([127, 1, high, low], 1).into())
    });
    bench.tell(Ok(Answer::addresses(all)));
    assert_eq!((bench.dialling(), bench.notes.len()), (vec!["ipv4:127.1.0.0:1".to_owned()], 0));
}

// A user's resolver.

fn custom(config: Config) -> Bench {
    let now = std::time::Instant::now();
    Bench::of(Channel::new(Target::custom("consul:///name"), config, 7, now), now)
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint::from(Address::Ip(address.parse().unwrap()))
}

#[test]
fn a_users_resolver_answers_once_and_is_asked_again_as_a_name_is() {
    let mut bench = custom(Config::new(7));
    bench.connect();
    assert_eq!(bench.queries[0].1, Query::Custom("consul:///name".into()));
    bench.tell(Err("the agent is gone".to_owned()));
    let text = "errors resolving consul:///name: [the agent is gone]";
    assert_eq!(bench.refusal(), Status::new(Code::Unavailable, text));
    bench.sleep();
    bench.tell(Ok(Found::new([endpoint("127.0.0.1:1")]).into()));
    bench.accept(&at(1));
    bench.lose(&at(1), How::Draining, true);
    assert!(bench.queries.is_empty(), "not within 30 s");
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.queries.len(), 1);
}

#[test]
fn a_users_resolver_may_go_on_and_is_asked_again_when_it_ends() {
    let mut bench = custom(Config::new(7));
    bench.connect();
    let (id, _) = bench.queries[0].clone();
    for host in [1, 2] {
        bench.channel.handle_update(id, Found::new([endpoint(&format!("127.0.0.{host}:1"))]), bench.now);
        bench.drain();
        bench.accept(&at(host));
        assert_eq!(bench.pick(), Ok(at(host)));
    }
    assert_eq!(bench.released, [at(1)]);
    bench.tell(Err("the stream broke".to_owned()));
    assert_eq!(bench.pick(), Ok(at(2)), "what it said counts on");
    bench.sleep();
    assert_eq!(bench.queries.len(), 1);
    // The one that has ended is not heard any more.
    bench.channel.handle_update(id, Found::new([endpoint("127.0.0.3:1")]), bench.now);
    bench.drain();
    assert!(bench.dialling().is_empty());
}

#[test]
fn what_a_users_resolver_finds_is_bounded_and_may_be_nothing() {
    let mut bench = custom(Config { limits: Limits { addresses: 1, ..Limits::default() }, ..Config::new(7) });
    bench.connect();
    let (id, _) = bench.queries[0].clone();
    bench.channel.handle_update(id, Found::new([]), bench.now);
    bench.drain();
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    bench.channel.handle_update(id, Found::new([endpoint("127.0.0.1:1"), endpoint("127.0.0.2:1")]), bench.now);
    bench.drain();
    assert_eq!(bench.notes, [Note::TooManyAddresses { found: 2, used: 1 }]);
    bench.accept(&at(1));
    assert_eq!(bench.pick(), Ok(at(1)));
}
