//! Messages of the DNS.

use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE, rdata::RData};

/// A query for records of one type.
pub(super) fn query(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, String> {
    let invalid = |_| "Misformatted domain name".to_owned();
    let name = Name::new(name).map_err(invalid)?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), CLASS::IN.into(), false));
    packet.build_bytes_vec().map_err(invalid)
}

/// What a name server says.
#[derive(Debug)]
pub(super) enum Said<'a> {
    /// These records.
    Records(Vec<RData<'a>>),
    /// There is no such name.
    NoName,
    /// More than fits into a datagram.
    Truncated,
    /// It cannot say, for this reason.
    Fault(&'static str),
}

/// What a message says to a query; `None`: it is no answer to that.
pub(super) fn read<'a>(message: &'a [u8], id: u16, name: &str, kind: TYPE) -> Option<Said<'a>> {
    let packet = Packet::parse(message).ok()?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let rcode = packet.rcode();
    match packet.questions.as_slice() {
        [question] => {
            let same = question.qtype == QTYPE::TYPE(kind) && Name::new(name).is_ok_and(|name| name == question.qname);
            same.then_some(())?;
        }
        // A server that could not read the query does not repeat it.
        [] if rcode == RCODE::FormatError => {}
        _ => return None,
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Said::Truncated);
    }
    Some(match rcode {
        // Records of other types are the aliases on the way.
        RCODE::NoError => {
            let records = packet.answers.into_iter().map(|record| record.rdata);
            Said::Records(records.filter(|data| data.type_code() == kind).collect())
        }
        RCODE::NameError => Said::NoName,
        RCODE::ServerFailure => Said::Fault("DNS server returned general failure"),
        RCODE::Refused => Said::Fault("DNS server refused query"),
        RCODE::FormatError => Said::Fault("DNS server claims query was misformatted"),
        RCODE::NotImplemented => Said::Fault("DNS server does not implement requested operation"),
        _ => Said::Fault("DNS server answered with an error"),
    })
}
