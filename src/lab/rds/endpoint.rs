//! The databases' own endpoints: enough of PostgreSQL to tell whether one is there. A client asks for TLS, the server declines.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::Site;
use super::super::net::{GatedListener, GatedStream, Place};
use super::super::world::World;
use super::name_in;

/// `SSLRequest` of the PostgreSQL protocol: its length, then 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts an endpoint for each name: it belongs to the instance that has the name, as an address of RDS does.
///
/// # Errors
/// When a loopback address cannot be listened on.
pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    for region in site.world.extent.regions().iter().copied() {
        let name = name_in(region);
        let place = Place::regional("rds", region);
        let mut listener = GatedListener::bind(site.world, place, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
        site.endpoints.insert(format!("rds.endpoint.{name}"), listener.address()?.to_string());
        let world = site.world.clone();
        site.tasks.spawn(async move {
            loop {
                let (stream, _) = listener.next().await;
                tokio::spawn(timeout(PATIENCE, greet(stream, world.clone(), name)));
            }
        });
    }
    Ok(())
}

async fn greet(mut stream: GatedStream, world: World, name: &'static str) -> io::Result<()> {
    let mut asked = [0; SSL_REQUEST.len()];
    stream.read_exact(&mut asked).await?;
    let serves = {
        let truth = world.truth();
        truth.rds.instance(name).is_some_and(|it| it.serves(&truth.faults))
    };
    if serves && asked == SSL_REQUEST {
        stream.write_all(b"N").await?;
    }
    stream.shutdown().await
}
