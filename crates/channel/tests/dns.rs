//! Look-ups at name servers, stepped: whom they ask, and what they make of the answers.

use std::net::SocketAddr;

use farcall_channel::{
    Address,
    dns::{Exchange, Lookup, NameServers, Over, Step, TIMED_OUT},
    resolver::{Answer, Question, Records, Service},
};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, RCODE, ResourceRecord,
    rdata::{A, AAAA, CNAME, RData, SRV, TXT},
};

const RESOLV_CONF: &str = "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch a.test\n";

fn servers() -> NameServers {
    NameServers::of_resolv_conf(RESOLV_CONF)
}

fn look_up(name: &str, kind: Records) -> Lookup {
    Lookup::new(Question { name: name.to_owned(), kind, server: None }, servers(), 7)
}

fn at_server(name: &str, kind: Records) -> Lookup {
    let server: SocketAddr = "10.0.0.9:5353".parse().unwrap();
    Lookup::new(Question { name: name.to_owned(), kind, server: Some(server) }, servers(), 7)
}

fn ask(lookup: &mut Lookup) -> Exchange {
    match lookup.poll() {
        Step::Ask(exchange) => exchange,
        Step::Done(answer) => panic!("it is over: {answer:?}"),
    }
}

fn done(lookup: &mut Lookup) -> Result<Answer, String> {
    match lookup.poll() {
        Step::Done(answer) => answer,
        Step::Ask(exchange) => panic!("it goes on: {exchange:?}"),
    }
}

/// What is asked: the name, and the type.
fn asked(exchange: &Exchange) -> (String, String) {
    let message = if exchange.over == Over::Tcp { &exchange.message[2..] } else { &exchange.message };
    let packet = Packet::parse(message).unwrap();
    (packet.questions[0].qname.to_string(), format!("{:?}", packet.questions[0].qtype))
}

/// An answer to an exchange, changed as the test wants.
fn reply<'a>(exchange: &'a Exchange, change: impl FnOnce(&mut Packet<'a>)) -> Vec<u8> {
    let message = if exchange.over == Over::Tcp { &exchange.message[2..] } else { &exchange.message };
    let mut packet = Packet::parse(message).unwrap().into_reply();
    change(&mut packet);
    packet.build_bytes_vec().unwrap()
}

fn record(data: RData<'_>) -> ResourceRecord<'_> {
    ResourceRecord::new(Name::new_unchecked("name.test"), CLASS::IN, 1, data)
}

fn a(last: u8) -> RData<'static> {
    RData::A(A { address: u32::from_be_bytes([127, 0, 0, last]) })
}

fn answer(lookup: &mut Lookup, records: &[RData<'static>]) {
    let exchange = ask(lookup);
    let message = reply(&exchange, |packet| packet.answers = records.iter().cloned().map(record).collect());
    assert!(lookup.handle_received(&message));
}

fn refuse(lookup: &mut Lookup, code: RCODE) {
    let exchange = ask(lookup);
    let message = reply(&exchange, |packet| *packet.rcode_mut() = code);
    assert!(lookup.handle_received(&message));
}

fn addresses(answer: Result<Answer, String>) -> Vec<String> {
    let Ok(Answer::Found(found)) = answer else { panic!("{answer:?}") };
    found.endpoints.iter().flat_map(|endpoint| &endpoint.addresses).map(Address::to_string).collect()
}

#[test]
fn addresses_are_those_of_both_families_past_aliases() {
    let mut lookup = at_server("name.test", Records::Addresses(5));
    let exchange = ask(&mut lookup);
    assert_eq!((exchange.server, exchange.over), ("10.0.0.9:5353".parse().unwrap(), Over::Udp));
    assert_eq!(asked(&exchange), ("name.test".to_owned(), "TYPE(AAAA)".to_owned()));
    assert!(lookup.handle_received(&reply(&exchange, |packet| {
        packet.answers.push(record(RData::AAAA(AAAA { address: 1 })));
    })));
    let alias = RData::CNAME(CNAME(Name::new_unchecked("other.test")));
    answer(&mut lookup, &[alias, a(1), a(2)]);
    assert_eq!(addresses(done(&mut lookup)), ["ipv6:%5B::1%5D:5", "ipv4:127.0.0.1:5", "ipv4:127.0.0.2:5"]);
}

#[test]
fn one_family_is_enough() {
    let mut lookup = at_server("name.test", Records::Addresses(5));
    for _ in 0..2 {
        ask(&mut lookup);
        lookup.handle_failed(TIMED_OUT);
    }
    answer(&mut lookup, &[a(1)]);
    assert_eq!(addresses(done(&mut lookup)), ["ipv4:127.0.0.1:5"]);
}

#[test]
fn a_name_without_addresses_is_not_found() {
    let mut lookup = at_server("name.test", Records::Addresses(5));
    refuse(&mut lookup, RCODE::NameError);
    assert_eq!(done(&mut lookup).unwrap_err(), "Domain name not found", "the other family has no such name either");
    let mut lookup = at_server("name.test", Records::Addresses(5));
    answer(&mut lookup, &[]);
    answer(&mut lookup, &[]);
    assert_eq!(done(&mut lookup).unwrap_err(), "Domain name not found");
}

#[test]
fn services_and_texts_may_be_missing() {
    for kind in [Records::Services, Records::Texts] {
        let mut lookup = at_server("name.test", kind);
        refuse(&mut lookup, RCODE::NameError);
        match done(&mut lookup) {
            Ok(Answer::Services(services)) => assert!(services.is_empty()),
            Ok(Answer::Texts(texts)) => assert!(texts.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn services_are_read() {
    let mut lookup = at_server("_grpc._tcp.name.test", Records::Services);
    let target = Name::new_unchecked("b.test");
    answer(&mut lookup, &[a(1), RData::SRV(SRV { priority: 1, weight: 2, port: 3, target })]);
    let Ok(Answer::Services(services)) = done(&mut lookup) else { panic!() };
    assert_eq!(services, [Service { host: "b.test".to_owned(), port: 3, priority: 1, weight: 2 }]);
}

#[test]
fn the_strings_of_a_text_are_one_and_what_is_no_utf8_is_left_out() {
    let mut lookup = at_server("name.test", Records::Texts);
    let two = TXT::new().with_string("grpc_config=[").unwrap().with_string("]").unwrap();
    let mut bytes = TXT::new();
    bytes.add_char_string(simple_dns::CharacterString::new(b"\xff").unwrap());
    answer(&mut lookup, &[RData::TXT(bytes), RData::TXT(two)]);
    let Ok(Answer::Texts(texts)) = done(&mut lookup) else { panic!() };
    assert_eq!(texts, ["grpc_config=[]"]);
}

#[test]
fn each_server_is_asked_in_turn_and_all_of_them_twice() {
    let mut lookup = look_up("name.test.", Records::Texts);
    let mut servers = Vec::new();
    for code in [RCODE::ServerFailure, RCODE::Refused, RCODE::NotImplemented] {
        servers.push(ask(&mut lookup).server.ip().to_string());
        refuse(&mut lookup, code);
    }
    servers.push(ask(&mut lookup).server.ip().to_string());
    lookup.handle_failed(TIMED_OUT);
    assert_eq!(servers, ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]);
    assert_eq!(done(&mut lookup).unwrap_err(), TIMED_OUT);
}

#[test]
fn a_server_that_fails_is_named_by_its_fault() {
    for (code, text) in [
        (RCODE::ServerFailure, "DNS server returned general failure"),
        (RCODE::Refused, "DNS server refused query"),
        (RCODE::FormatError, "DNS server claims query was misformatted"),
        (RCODE::NotImplemented, "DNS server does not implement requested operation"),
        (RCODE::YXDOMAIN, "DNS server answered with an error"),
    ] {
        let mut lookup = at_server("name.test", Records::Services);
        refuse(&mut lookup, code);
        refuse(&mut lookup, code);
        assert_eq!(done(&mut lookup).unwrap_err(), text);
    }
}

#[test]
fn a_search_list_makes_names_until_one_is_found() {
    let mut lookup = look_up("name", Records::Texts);
    let exchange = ask(&mut lookup);
    assert_eq!(asked(&exchange).0, "name.a.test");
    assert!(lookup.handle_received(&reply(&exchange, |packet| *packet.rcode_mut() = RCODE::NameError)));
    let exchange = ask(&mut lookup);
    assert_eq!(asked(&exchange).0, "name");
    let text = TXT::new().with_string("x").unwrap();
    assert!(lookup.handle_received(&reply(&exchange, |packet| packet.answers.push(record(RData::TXT(text))))));
    assert!(matches!(done(&mut lookup), Ok(Answer::Texts(texts)) if texts == ["x"]));
}

#[test]
fn what_does_not_fit_into_a_datagram_is_asked_for_over_tcp_at_the_same_server() {
    let mut lookup = at_server("name.test", Records::Texts);
    let over_udp = ask(&mut lookup);
    assert!(lookup.handle_received(&reply(&over_udp, |packet| packet.set_flags(PacketFlag::TRUNCATION))));
    let over_tcp = ask(&mut lookup);
    assert_eq!((over_tcp.over, over_tcp.server), (Over::Tcp, over_udp.server));
    let length = usize::from(u16::from_be_bytes([over_tcp.message[0], over_tcp.message[1]]));
    assert_eq!(length, over_tcp.message.len() - 2);
    // Truncated once more, or nonsense, it is no answer.
    assert!(lookup.handle_received(&reply(&over_tcp, |packet| packet.set_flags(PacketFlag::TRUNCATION))));
    assert_eq!(ask(&mut lookup).over, Over::Udp);
}

#[test]
fn forged_and_broken_answers_are_passed_over() {
    let mut lookup = at_server("name.test", Records::Texts);
    let exchange = ask(&mut lookup);
    let right = reply(&exchange, |_| {});
    let mut wrong = vec![
        reply(&exchange, |packet| packet.set_id(packet.id() ^ 1)),
        reply(&exchange, |packet| packet.remove_flags(PacketFlag::RESPONSE)),
        reply(&exchange, |packet| packet.questions.clear()),
        reply(&exchange, |packet| packet.questions[0].qname = Name::new_unchecked("other.test")),
        reply(&exchange, |packet| packet.questions[0].qtype = simple_dns::TYPE::A.into()),
        Vec::new(),
    ];
    wrong.extend((0..right.len()).map(|length| right[..length].to_vec()));
    for message in wrong {
        assert!(!lookup.handle_received(&message), "{message:?}");
    }
    assert!(lookup.handle_received(&right));
    assert!(matches!(done(&mut lookup), Ok(Answer::Texts(texts)) if texts.is_empty()));
}

#[test]
fn case_does_not_matter() {
    let mut lookup = at_server("Name.Test", Records::Texts);
    let exchange = ask(&mut lookup);
    assert!(lookup.handle_received(&reply(&exchange, |packet| {
        packet.questions[0].qname = Name::new_unchecked("nAME.tEST");
    })));
}

#[test]
fn names_that_cannot_be_asked_for_are_an_error() {
    for name in ["x".repeat(64), "a.".repeat(130), "\\".to_owned()] {
        let mut lookup = at_server(&name, Records::Texts);
        assert_eq!(done(&mut lookup).unwrap_err(), "Misformatted domain name", "{name}");
    }
}

#[test]
fn exchanges_are_bounded() {
    let text =
        "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\noptions attempts:5\nsearch a b c d e f g h";
    let question = Question { name: "name".to_owned(), kind: Records::Texts, server: None };
    let mut lookup = Lookup::new(question, NameServers::of_resolv_conf(text), 7);
    for _ in 0..24 {
        ask(&mut lookup);
        lookup.handle_failed(TIMED_OUT);
    }
    assert_eq!(done(&mut lookup).unwrap_err(), TIMED_OUT);
}

#[test]
fn whatever_a_server_says_a_look_up_ends() {
    let mut random = 7u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize
    };
    for _ in 0..3000 {
        let kind = [Records::Addresses(1), Records::Services, Records::Texts][next() % 3];
        let mut lookup = at_server("name.test", kind);
        let mut exchanges = 0;
        while let Step::Ask(exchange) = lookup.poll() {
            exchanges += 1;
            assert!(exchanges <= 24);
            let alias = RData::CNAME(CNAME(Name::new_unchecked("other.test")));
            let target = Name::new_unchecked("name.test");
            let srv = RData::SRV(SRV { priority: 1, weight: 2, port: 3, target });
            let text = RData::TXT(TXT::new().with_string("x").unwrap());
            let mut message = reply(&exchange, |packet| packet.answers = [alias, srv, text, a(1)].map(record).to_vec());
            for _ in 0..next() % 4 {
                // The number and the question stay, so that it is read.
                let at = 2 + next() % (message.len() - 2);
                message[at] = u8::try_from(next() % 256).unwrap();
            }
            message.truncate(message.len() - if next() % 4 == 0 { next() % message.len() } else { 0 });
            if !lookup.handle_received(&message) {
                lookup.handle_failed(TIMED_OUT);
            }
        }
    }
}
