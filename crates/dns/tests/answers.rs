//! Queries as clients send them, and what they get.

#![allow(clippy::unwrap_used, reason = "this is test code, though not always in a test function")]

use dns::{Failure, Verdict, View, answer, failure};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use std::net::IpAddr;

/// `web` has many addresses, `db` one of each family, `six` IPv6 only, `idle` none.
struct Project;

impl View for Project {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        match name {
            "web" => Some((1..=60).map(|host| IpAddr::from([10, 1, 0, host])).collect()),
            "db" | "db.shop_default" => Some(vec![[10, 1, 0, 100].into(), "fd00::100".parse().unwrap()]),
            "six" => Some(vec!["fd00::6".parse().unwrap()]),
            "my_service" => Some(vec![[10, 1, 0, 7].into()]),
            "idle" => Some(vec![]),
            _ => None,
        }
    }

    fn name_of(&self, ip: IpAddr) -> Option<String> {
        [("10.1.0.100", "shop-db-1.shop_default"), ("fd00::100", "shop-db-1.shop_default")]
            .iter()
            .find(|(address, _)| *address == ip.to_string())
            .map(|(_, name)| (*name).to_owned())
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    // Not from_utf8: it changes the case and refuses underscores, as no client does.
    let labels = name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes);
    message.add_query(Query::query(Name::from_labels(labels).unwrap(), kind));
    message
}

fn ask(message: &Message, udp: bool) -> Option<Message> {
    match answer(&message.to_vec().unwrap(), &Project, 1, udp) {
        Verdict::Answer(bytes) => Some(Message::from_vec(&bytes).unwrap()),
        Verdict::Forward => None,
        Verdict::Drop => panic!("dropped"),
    }
}

fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn a_name_of_ours_is_answered_with_its_addresses_of_the_asked_family() {
    let response = ask(&query("db.", RecordType::A), true).unwrap();
    assert_eq!(data(&response), ["10.1.0.100"]);
    assert_eq!((response.metadata.id, response.metadata.message_type), (0x1234, MessageType::Response));
    assert!(response.metadata.recursion_available && response.metadata.recursion_desired);
    assert_eq!(response.answers[0].ttl, 600);
    assert_eq!(data(&ask(&query("db.", RecordType::AAAA), true).unwrap()), ["fd00::100"]);
    assert_eq!(data(&ask(&query("db.shop_default.", RecordType::A), true).unwrap()), ["10.1.0.100"]);
    assert_eq!(data(&ask(&query("my_service.", RecordType::A), true).unwrap()), ["10.1.0.7"]);
    assert_eq!(ask(&query("db.", RecordType::ANY), true).unwrap().answers.len(), 2);
}

#[test]
fn the_case_of_a_name_does_not_matter_and_comes_back_as_it_was_asked() {
    let response = ask(&query("dB.", RecordType::A), true).unwrap();
    assert_eq!(response.queries[0].name().to_string(), "dB.");
    assert_eq!(response.answers[0].name.to_string(), "dB.");
}

#[test]
fn a_name_without_a_record_of_the_asked_kind_exists_nevertheless() {
    for (name, kind) in [
        ("six.", RecordType::A),
        ("web.", RecordType::AAAA),
        ("idle.", RecordType::A),
        ("db.", RecordType::MX),
        ("db.", RecordType::HTTPS),
    ] {
        let response = ask(&query(name, kind), true).unwrap();
        assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::NoError, 0));
    }
}

#[test]
fn names_of_others_are_forwarded() {
    for name in ["example.com.", "dbx.", "db.other.", "."] {
        assert!(ask(&query(name, RecordType::A), true).is_none());
    }
    assert!(ask(&query("8.8.8.8.in-addr.arpa.", RecordType::PTR), true).is_none());
    assert!(ask(&query("1.10.in-addr.arpa.", RecordType::PTR), true).is_none());
}

#[test]
fn an_address_of_ours_has_a_name() {
    let response = ask(&query("100.0.1.10.in-addr.arpa.", RecordType::PTR), true).unwrap();
    assert_eq!(data(&response), ["shop-db-1.shop_default."]);
    let six = "0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.";
    assert_eq!(data(&ask(&query(six, RecordType::PTR), true).unwrap()), ["shop-db-1.shop_default."]);
}

#[test]
fn replicas_come_in_an_order_that_the_seed_decides() {
    let bytes = query("web.", RecordType::A).to_vec().unwrap();
    let order = |seed| match answer(&bytes, &Project, seed, false) {
        Verdict::Answer(bytes) => data(&Message::from_vec(&bytes).unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let mut sorted = order(3);
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 60);
    let first: std::collections::BTreeSet<_> = (0..500).map(|seed| order(seed)[0].clone()).collect();
    assert!(first.len() > 50, "every replica gets its turn: {}", first.len());
}

#[test]
fn an_answer_too_long_for_udp_says_so_and_holds_what_fits() {
    let whole = ask(&query("web.", RecordType::A), false).unwrap();
    assert_eq!((whole.answers.len(), whole.metadata.truncation), (60, false));
    let cut = ask(&query("web.", RecordType::A), true).unwrap();
    assert!(cut.metadata.truncation && cut.to_vec().unwrap().len() <= 512);
    assert!(cut.to_vec().unwrap().len() > 512 - 16, "no more is left out than has to be");
    let mut large = query("web.", RecordType::A);
    large.set_edns(Edns::new().set_max_payload(1232).clone());
    let response = ask(&large, true).unwrap();
    assert_eq!((response.answers.len(), response.metadata.truncation), (60, false));
    assert!(response.edns.is_some(), "who asks with EDNS is answered with EDNS");
}

#[test]
fn an_unknown_version_of_edns_is_refused_as_such() {
    let mut message = query("db.", RecordType::A);
    message.set_edns(Edns::new().set_version(1).clone());
    let response = ask(&message, true).unwrap();
    assert_eq!(u16::from(response.metadata.response_code), 16);
    assert!(response.answers.is_empty());
}

#[test]
fn what_is_no_query_gets_no_answer_and_what_is_a_bad_one_is_told_so() {
    let judge = |bytes: &[u8]| answer(bytes, &Project, 0, true);
    let code = |bytes: &[u8]| match judge(bytes) {
        Verdict::Answer(bytes) => Message::from_vec(&bytes).unwrap().metadata.response_code,
        other => panic!("{other:?}"),
    };
    let good = query("db.", RecordType::A).to_vec().unwrap();
    for length in 0..12 {
        assert_eq!(judge(&good[..length]), Verdict::Drop);
    }
    for length in 12..good.len() {
        assert_eq!(code(&good[..length]), ResponseCode::FormErr);
    }
    let mut response = query("db.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(judge(&response.to_vec().unwrap()), Verdict::Drop);
    let mut many = good.clone();
    many[4..6].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(code(&many), ResponseCode::FormErr);
    let mut update = query("db.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(code(&update.to_vec().unwrap()), ResponseCode::NotImp);
}

#[test]
fn no_bytes_whatever_make_it_panic() {
    let good = query("db.shop_default.", RecordType::A).to_vec().unwrap();
    for place in 0..good.len() {
        for value in 0..=255 {
            let mut bytes = good.clone();
            bytes[place] = value;
            answer(&bytes, &Project, 0, true);
            failure(&bytes, Failure::Server);
        }
    }
}

#[test]
fn a_query_that_cannot_be_forwarded_is_answered_with_the_reason() {
    let bytes = query("example.com.", RecordType::A).to_vec().unwrap();
    for (why, code) in [
        (Failure::Server, ResponseCode::ServFail),
        (Failure::NoSuchName, ResponseCode::NXDomain),
        (Failure::Refused, ResponseCode::Refused),
    ] {
        let response = Message::from_vec(&failure(&bytes, why).unwrap()).unwrap();
        assert_eq!((response.metadata.response_code, response.metadata.id), (code, 0x1234));
        assert_eq!(response.queries.len(), 1);
    }
    assert_eq!(failure(&bytes[..5], Failure::Server), None);
}
