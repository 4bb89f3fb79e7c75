//! The databases' own endpoints: enough of PostgreSQL to tell whether one is there, and whether it takes writes. A client asks for TLS, the
//! server declines.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::time::timeout;

use super::super::Site;
use super::super::net::{GatedListener, Place};
use super::{name_in, session};

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
                let world = world.clone();
                let recovery = move || {
                    let truth = world.truth();
                    let instance = truth.rds.instance(name).filter(|it| it.serves(&truth.faults))?;
                    Some(instance.source.is_some())
                };
                tokio::spawn(timeout(PATIENCE, session::serve(stream, recovery)));
            }
        });
    }
    Ok(())
}
