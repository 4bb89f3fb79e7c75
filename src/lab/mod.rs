//! The embedded estate: a miniature of the platform that speaks the real wire protocols on loopback. It is the outside world, so it
//! imports nothing of the rest of the crate; only its endpoints reach Mayday, through an ordinary config file.

pub mod accelerator;
pub mod alive;
pub mod app;
pub mod arc;
pub mod client;
pub mod control;
pub mod dns;
pub mod estate;
pub mod faults;
pub mod handout;
pub mod hidden;
pub mod inbox;
pub mod kubernetes;
mod limit;
mod login;
pub mod neo4j;
pub mod net;
pub mod pagerduty;
pub mod rds;
pub mod redis;
pub mod route53;
pub mod rows;
pub mod s3;
pub mod scenario;
pub mod slack;
pub mod smtp;
pub mod statuspage;
pub mod webhook;
pub mod world;
pub mod xml;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use axum::Router;
use tempfile::TempDir;
use tokio::task::JoinSet;

use net::{GatedListener, Place};
pub use world::{Extent, PRIMARY, Pace, REGIONS, STANDBY, THIRD, World};

/// Where the servers of a running lab are: `rds.us-east-1` → `http://127.0.0.1:40001`. The names are those that
/// `assets/lab/estate.toml` refers to.
pub type Endpoints = BTreeMap<String, String>;

/// A running lab; everything stops when it is dropped.
pub struct Lab {
    pub world: World,
    pub endpoints: Endpoints,
    _tasks: JoinSet<()>,
    /// Whoever is killed leaves its files to the next one, who finds this unlocked.
    _alive: File,
    /// Removed at once with the lab: a task may outlive it by a moment, and the program may end in that moment.
    _files: TempDir,
}

/// What a wire server is given to start with: it adds its tasks and its endpoints.
pub struct Site<'a> {
    pub world: &'a World,
    pub tasks: &'a mut JoinSet<()>,
    pub endpoints: &'a mut Endpoints,
    /// Where files may be left for clients; they go with the lab.
    pub files: &'a Path,
}

impl Site<'_> {
    /// Serves `router` on a free port of the loopback interface, behind the faults of `place`. Says where.
    ///
    /// # Errors
    /// When the loopback interface cannot be listened on.
    pub async fn serve(&mut self, place: Place, router: Router) -> io::Result<SocketAddr> {
        let listener = GatedListener::bind(self.world, place, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
        let address = listener.address()?;
        self.tasks.spawn(async move {
            // Serving ends only with the lab.
            let _ = axum::serve(listener, router).await;
        });
        Ok(address)
    }
}

impl Lab {
    /// Starts every server on a free port of the loopback interface, and lets time pass.
    ///
    /// # Errors
    /// When a loopback address cannot be listened on.
    pub async fn start(pace: Pace) -> io::Result<Self> {
        Self::start_with(pace, Extent::Two).await
    }

    /// The same with as many regions as `extent` says.
    ///
    /// # Errors
    /// When a loopback address cannot be listened on.
    pub async fn start_with(pace: Pace, extent: Extent) -> io::Result<Self> {
        let world = World::new(pace, extent);
        let (mut tasks, mut endpoints) = (JoinSet::new(), Endpoints::new());
        let files = TempDir::with_prefix("mayday-lab-")?;
        let claim = alive::claim(files.path())?;
        let mut site = Site { world: &world, tasks: &mut tasks, endpoints: &mut endpoints, files: files.path() };
        route53::start(&mut site).await?;
        dns::start(&mut site).await?;
        arc::start(&mut site).await?;
        accelerator::start(&mut site).await?;
        rds::start(&mut site).await?;
        s3::start(&mut site).await?;
        kubernetes::start(&mut site).await?;
        redis::start(&mut site).await?;
        neo4j::start(&mut site).await?;
        slack::start(&mut site).await?;
        statuspage::start(&mut site).await?;
        pagerduty::start(&mut site).await?;
        smtp::start(&mut site).await?;
        webhook::start(&mut site).await?;
        app::start(&mut site).await?;
        control::start(&mut site).await?;
        tasks.spawn(world.clone().live());
        Ok(Self { world, endpoints, _tasks: tasks, _alive: claim, _files: files })
    }
}
