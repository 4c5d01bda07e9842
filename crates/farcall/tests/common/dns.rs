//! A name server on loopback, over UDP and TCP, whose zone the test changes as it likes.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord,
    rdata::{A, RData, SRV, TXT},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};

/// What a datagram may hold without EDNS, bytes.
const LONGEST_DATAGRAM: usize = 512;

/// What it says of names. It fails where there is an error code.
#[derive(Default)]
pub struct Zone {
    records: BTreeMap<String, Vec<RData<'static>>>,
    pub fails: Option<RCODE>,
    /// Queries so far, and those over TCP.
    pub asked: usize,
    pub over_tcp: usize,
}

pub struct NameServer {
    pub address: SocketAddr,
    pub zone: Arc<Mutex<Zone>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl NameServer {
    pub async fn start() -> NameServer {
        // The same port for both, or another one.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let (address, zone) = (udp.local_addr().unwrap(), Arc::<Mutex<Zone>>::default());
        let tasks =
            vec![tokio::spawn(datagrams(udp, Arc::clone(&zone))), tokio::spawn(connections(tcp, Arc::clone(&zone)))];
        NameServer { address, zone, tasks }
    }

    /// A name as a target that is looked up here.
    pub fn target(&self, host_port: &str) -> String {
        format!("dns://{}/{host_port}", self.address)
    }

    pub fn set(&self, name: &str, records: impl IntoIterator<Item = RData<'static>>) {
        self.zone.lock().unwrap().records.insert(name.to_owned(), records.into_iter().collect());
    }
}

pub fn a(ip: Ipv4Addr) -> RData<'static> {
    RData::A(A { address: ip.into() })
}

pub fn srv(host: &str, port: u16, priority: u16, weight: u16) -> RData<'static> {
    RData::SRV(SRV { priority, weight, port, target: Name::new(host).unwrap().into_owned() })
}

pub fn txt(text: &str) -> RData<'static> {
    RData::TXT(TXT::try_from(text).unwrap().into_owned())
}

async fn datagrams(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut query = [0; LONGEST_DATAGRAM];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut query).await else { continue };
        let Some(mut answer) = answer(&query[..length], &zone) else { continue };
        if answer.len() > LONGEST_DATAGRAM {
            let mut packet = Packet::parse(&answer).unwrap();
            packet.answers.clear();
            packet.set_flags(PacketFlag::TRUNCATION);
            answer = packet.build_bytes_vec().unwrap();
        }
        let _ = socket.send_to(&answer, from).await;
    }
}

async fn connections(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // A client that goes away in the middle is no trouble.
        let _ = converse(stream, &zone).await;
    }
}

async fn converse(mut stream: TcpStream, zone: &Mutex<Zone>) -> std::io::Result<()> {
    let mut query = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut query).await?;
    zone.lock().unwrap().over_tcp += 1;
    let Some(answer) = answer(&query, zone) else { return Ok(()) };
    stream.write_u16(answer.len().try_into().expect("an answer that fits")).await?;
    stream.write_all(&answer).await
}

fn answer(query: &[u8], zone: &Mutex<Zone>) -> Option<Vec<u8>> {
    let mut packet = Packet::parse(query).ok()?.into_reply();
    let question = packet.questions.first()?.clone();
    let QTYPE::TYPE(kind) = question.qtype else { return None };
    let mut zone = zone.lock().unwrap();
    zone.asked += 1;
    match (zone.fails, zone.records.get(&question.qname.to_string())) {
        (Some(code), _) => *packet.rcode_mut() = code,
        (None, None) => *packet.rcode_mut() = RCODE::NameError,
        (None, Some(records)) => {
            let of_kind = records.iter().filter(|data| data.type_code() == kind).cloned();
            let record = |data| ResourceRecord::new(question.qname.clone(), CLASS::IN, 1, data);
            packet.answers = of_kind.map(record).collect();
        }
    }
    packet.build_bytes_vec_compressed().ok()
}
