//! Answers to name queries of containers. Pure: bytes in, verdict out; who has which name is asked of
//! a [`View`].
//!
//! A name that is ours is answered here for every type of record: with its addresses, or with success
//! and nothing where it has none of that type. Any other name is for an upstream server.

use hickory_proto::op::{Edns, Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use std::net::IpAddr;

/// Seconds an answer may be kept.
const LIFETIME: u32 = 600;
/// What every client takes by UDP, bytes.
const SMALLEST: u16 = 512;
/// What we send by UDP at most, whatever the client says; it never leaves the loopback interface.
const LARGEST: u16 = 4096;
/// Records a query may carry besides its question: EDNS and a signature.
const EXTRAS: u16 = 2;

/// What one container can see. Names are lower-case, without the trailing dot.
pub trait View {
    /// Every address of a name, in any order; `None` when the name is not ours.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>>;
    /// The name of an address; `None` when the address is not ours.
    fn name_of(&self, ip: IpAddr) -> Option<String>;
}

/// What to do with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send this back.
    Answer(Vec<u8>),
    /// It is not about us: hand it, as it is, to an upstream server.
    Forward,
    /// It is no query at all: say nothing.
    Drop,
}

/// Why a query that was to be forwarded gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No upstream server answered (SERVFAIL).
    Server,
    /// There is nobody to ask: the container is on internal networks only (NXDOMAIN).
    NoSuchName,
    /// Not for this one to ask (REFUSED).
    Refused,
}

/// Decides about one query. The same seed gives the same order of a name's addresses; `udp` limits the
/// answer to what the client said it can take.
pub fn answer(query: &[u8], view: &dyn View, seed: u64, udp: bool) -> Verdict {
    let question = match read(query) {
        Reading::Question(question) => question,
        Reading::Unfit(header, code) => return respond(reply(&header, None, code), SMALLEST),
        Reading::Noise => return Verdict::Drop,
    };
    let edns = question.edns.as_ref();
    let limit = match edns {
        _ if !udp => u16::MAX,
        Some(edns) => edns.max_payload().clamp(SMALLEST, LARGEST),
        None => SMALLEST,
    };
    if edns.is_some_and(|edns| edns.version() > 0) {
        return respond(reply(&question.header, Some(&question), ResponseCode::BADVERS), limit);
    }
    let Some(records) = records(&question.query, view, seed) else { return Verdict::Forward };
    let mut message = reply(&question.header, Some(&question), ResponseCode::NoError);
    message.answers = records;
    respond(message, limit)
}

/// The answer that says so, for a query that [`answer`] wanted forwarded. `None` for bytes that are no query.
pub fn failure(query: &[u8], why: Failure) -> Option<Vec<u8>> {
    let Reading::Question(question) = read(query) else { return None };
    let code = match why {
        Failure::Server => ResponseCode::ServFail,
        Failure::NoSuchName => ResponseCode::NXDomain,
        Failure::Refused => ResponseCode::Refused,
    };
    reply(&question.header, Some(&question), code).to_vec().ok()
}

/// A query with what matters of it.
struct Question {
    header: Header,
    query: Query,
    edns: Option<Edns>,
}

enum Reading {
    Question(Box<Question>),
    /// A query, but none that can be answered, with the code that says why.
    Unfit(Header, ResponseCode),
    /// An answer, or not even a header.
    Noise,
}

/// Reads a query. The counts in the header are looked at before anything is believed of them: a reader
/// that makes room for 65535 questions could be made to use megabytes by twelve bytes.
fn read(bytes: &[u8]) -> Reading {
    let mut decoder = BinDecoder::new(bytes);
    let Ok(header) = Header::read(&mut decoder) else { return Reading::Noise };
    if header.metadata.message_type != MessageType::Query {
        return Reading::Noise;
    }
    if header.metadata.op_code != OpCode::Query {
        return Reading::Unfit(header, ResponseCode::NotImp);
    }
    let counts = &header.counts;
    if counts.queries != 1 || counts.answers != 0 || counts.authorities != 0 || counts.additionals > EXTRAS {
        return Reading::Unfit(header, ResponseCode::FormErr);
    }
    let extras = usize::from(counts.additionals);
    let rest = Query::read(&mut decoder).ok().and_then(|query| {
        let (_, edns, _) = Message::read_records(&mut decoder, extras, true, OpCode::Query).ok()?;
        Some((query, edns))
    });
    match rest {
        Some((query, edns)) => Reading::Question(Box::new(Question { header, query, edns })),
        None => Reading::Unfit(header, ResponseCode::FormErr),
    }
}

/// The records that answer; `None` when the question is not about us.
fn records(query: &Query, view: &dyn View, seed: u64) -> Option<Vec<Record>> {
    if !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
        return None;
    }
    let name = query.name();
    let record = |data| Record::from_rdata(name.clone(), LIFETIME, data);
    let kind = query.query_type();
    if kind == RecordType::PTR
        && let Some(address) = reverse(name)
    {
        let host = view.name_of(address)?;
        let host = Name::from_labels(host.split('.').map(str::as_bytes)).ok()?;
        return Some(vec![record(RData::PTR(PTR(host)))]);
    }
    let mut addresses = view.addresses(&plain(name)?)?;
    shuffle(&mut addresses, seed);
    let data = addresses.into_iter().filter_map(|address| match (address, kind) {
        (IpAddr::V4(v4), RecordType::A | RecordType::ANY) => Some(RData::A(A(v4))),
        (IpAddr::V6(v6), RecordType::AAAA | RecordType::ANY) => Some(RData::AAAA(AAAA(v6))),
        _ => None,
    });
    Some(data.map(record).collect())
}

/// The name as a [`View`] knows names; `None` for one that it cannot know.
fn plain(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        let label = std::str::from_utf8(label).ok().filter(|label| !label.contains('.'))?;
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&label.to_ascii_lowercase());
    }
    Some(text).filter(|text| !text.is_empty())
}

/// The whole address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
fn reverse(name: &Name) -> Option<IpAddr> {
    let network = name.parse_arpa_name().ok()?;
    (network.prefix_len() == network.max_prefix_len()).then(|| network.addr())
}

/// The beginning of a response: what the query said, and a code.
fn reply(header: &Header, question: Option<&Question>, code: ResponseCode) -> Message {
    let mut message = Message::new(header.metadata.id, MessageType::Response, header.metadata.op_code);
    message.metadata.recursion_desired = header.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    if let Some(question) = question {
        message.queries = vec![question.query.clone()];
        message.edns = question.edns.as_ref().map(|_| {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST);
            edns
        });
    }
    message
}

/// The response in at most `limit` bytes: as many records as fit, and a word if not all do.
fn respond(mut message: Message, limit: u16) -> Verdict {
    let limit = usize::from(limit);
    loop {
        let Ok(bytes) = message.to_vec() else { return Verdict::Drop };
        let count = message.answers.len();
        if bytes.len() <= limit || count == 0 {
            return Verdict::Answer(bytes);
        }
        message.metadata.truncation = true;
        // At least 16 bytes a record: so many have to go for sure, and one in any case.
        let excess = (bytes.len() - limit) / (bytes.len() / count).max(1);
        message.answers.truncate(count - excess.clamp(1, count));
    }
}

/// Fisher and Yates' shuffle, with splitmix64 for chance.
fn shuffle(addresses: &mut [IpAddr], seed: u64) {
    let mut state = seed;
    for last in (1..addresses.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let range = u64::try_from(last + 1).expect("a list of addresses fits 64 bits");
        let other = usize::try_from((mixed ^ (mixed >> 31)) % range).expect("below the length");
        addresses.swap(last, other);
    }
}
