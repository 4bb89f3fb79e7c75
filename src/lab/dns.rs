//! The authoritative name server of the lab's zones, over UDP and TCP on one port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::Site;
use super::faults::Condition;
use super::net::{GatedListener, GatedStream, Place};
use super::route53::{Answer, RecordSet, Zones};
use super::world::World;

const PLACE: Place = Place::global("dns");

/// What fits into an answer by UDP for a client that does not say otherwise (RFC 1035), and the most that is ever sent.
const PLAIN_UDP: usize = 512;
const LARGEST_UDP: u16 = 1232;

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let (udp, tcp) = bind(site.world).await?;
    site.endpoints.insert("dns".into(), udp.local_addr()?.to_string());
    site.tasks.spawn(serve_udp(Arc::new(udp), site.world.clone()));
    site.tasks.spawn(serve_tcp(tcp, site.world.clone()));
    Ok(())
}

/// One port for both. Another process may hold the TCP side of a port that is free for UDP: then the next one is tried.
async fn bind(world: &World) -> io::Result<(UdpSocket, GatedListener)> {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind((ip, 0)).await?;
        tries += 1;
        match GatedListener::bind(world, PLACE, ip, udp.local_addr()?.port()).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(e) if tries == 20 => return Err(e),
            Err(_) => {}
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, world: World) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let condition = PLACE.condition(&world);
        // Datagrams to a place that is dark, where nothing listens, or that limits its rate are lost.
        if matches!(condition, Condition::Dark | Condition::Refused | Condition::Throttled) {
            continue;
        }
        let Some((request, mut reply)) = respond(&buffer[..length], &world) else { continue };
        let room = request.edns.as_ref().map_or(PLAIN_UDP, |edns| usize::from(edns.max_payload().min(LARGEST_UDP)));
        let Ok(mut bytes) = reply.to_vec() else { continue };
        if bytes.len() > room.max(PLAIN_UDP) {
            reply = reply.truncate();
            let Ok(shorter) = reply.to_vec() else { continue };
            bytes = shorter;
        }
        tokio::spawn(send(socket.clone(), from, bytes, condition));
    }
}

async fn send(socket: Arc<UdpSocket>, to: SocketAddr, mut bytes: Vec<u8>, condition: Condition) {
    match condition {
        Condition::Slow(by) => sleep(by).await,
        Condition::Half => bytes.truncate(bytes.len() / 2),
        Condition::Garbage => bytes.iter_mut().for_each(|byte| *byte ^= 0x5a),
        _ => {}
    }
    // The client may be gone; a datagram has nobody to tell.
    let _ = socket.send_to(&bytes, to).await;
}

async fn serve_tcp(mut listener: GatedListener, world: World) {
    loop {
        let (stream, _) = listener.next().await;
        let world = world.clone();
        tokio::spawn(async move {
            // Ends with the connection, whoever closes it.
            let _ = converse(stream, &world).await;
        });
    }
}

/// Questions and answers, each behind two bytes of length, until the client leaves.
async fn converse(mut stream: GatedStream, world: &World) -> io::Result<()> {
    loop {
        let mut request = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut request).await?;
        let Some((_, reply)) = respond(&request, world) else { return Ok(()) };
        let bytes = reply.to_vec().map_err(io::Error::other)?;
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &bytes].concat();
        stream.write_all(&framed).await?;
    }
}

/// The question as it was understood, and what is said to it; `None` for what is no question at all.
fn respond(bytes: &[u8], world: &World) -> Option<(Message, Message)> {
    let request = Message::from_vec(bytes).ok()?;
    if request.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&request.metadata);
    reply.add_queries(request.queries.iter().cloned());
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        reply.set_edns(edns);
    }
    let refused = PLACE.condition(world) == Condition::Denied;
    reply.metadata.response_code = match request.queries.as_slice() {
        _ if refused => ResponseCode::Refused,
        _ if request.metadata.op_code != OpCode::Query => ResponseCode::NotImp,
        [query] if query.query_class() == DNSClass::IN => fill(&mut reply, &world.truth().route53),
        [_] => ResponseCode::Refused,
        _ => ResponseCode::FormErr,
    };
    Some((request, reply))
}

/// Fills in the records that answer the question.
fn fill(reply: &mut Message, zones: &Zones) -> ResponseCode {
    let Some(query) = reply.queries.first().cloned() else { return ResponseCode::FormErr };
    let (code, zone) = match zones.answer(&query.name().to_ascii(), query.query_type()) {
        Answer::Refused => return ResponseCode::Refused,
        Answer::Found(set) => {
            reply.answers = records(set, query.name());
            (ResponseCode::NoError, None)
        }
        Answer::NoData(zone) => (ResponseCode::NoError, Some(zone)),
        Answer::NoName(zone) => (ResponseCode::NXDomain, Some(zone)),
    };
    reply.metadata.authoritative = true;
    if let Some(zone) = zone
        && let Some(soa) = zone.soa()
        && let Ok(name) = Name::from_ascii(&zone.name)
    {
        reply.authorities = records(soa, &name);
        for record in &mut reply.authorities {
            if let RData::SOA(soa) = &record.data {
                // How long "there is none" may be kept (RFC 2308).
                record.ttl = record.ttl.min(soa.minimum);
            }
        }
    }
    code
}

fn records(set: &RecordSet, name: &Name) -> Vec<Record> {
    set.rdata().map(|data| Record::from_rdata(name.clone(), set.ttl, data)).collect()
}
