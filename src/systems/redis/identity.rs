//! Who is who. The config calls servers by names, Sentinels and replicas call them by addresses (they announce what they see, unless
//! `resolve-hostnames` and `announce-hostnames` are on): one server must not be counted, steered or blocked as two. A server is known for
//! certain by its `run_id`; one that does not answer, by what its name resolves to.
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#ip-addresses-and-dns-names>

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout};

use super::Redis;
use super::client::{Peer, split, text};
use super::look::View;
use super::node::lines;
use crate::domain::system::{Fault, Guard};

/// A server may take so long to say who it is, and a name to be looked up, before that is not known.
const LOOKUP: Duration = Duration::from_secs(1);
/// So long all of it may take.
const LONGEST: Duration = Duration::from_millis(2500);
/// What an address leads to is looked at anew after so long: addresses are given again.
const FRESH: Duration = Duration::from_secs(60);
/// Strangers who stayed strangers are not asked about again for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// What was learnt of servers that the config names.
#[derive(Default)]
pub struct Identities(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Addresses of the config, by the run id of the process that answered there.
    by_run_id: BTreeMap<String, String>,
    /// Addresses of the config, by what Sentinels and replicas call them, and since when; `None` where none is meant, as far as is known.
    by_address: BTreeMap<String, (Instant, Option<String>)>,
    /// When it was last tried to find out more, without an end.
    asked: Option<Instant>,
}

impl Known {
    /// Whether it is time to find out more; it is then noted as begun.
    fn is_due(&mut self) -> bool {
        let due = self.asked.is_none_or(|asked| asked.elapsed() >= PAUSE);
        if due {
            self.asked = Some(Instant::now());
        }
        due
    }

    fn called(&self, address: &str) -> Option<&Option<String>> {
        self.by_address.get(address).filter(|(since, _)| since.elapsed() < FRESH).map(|(_, own)| own)
    }

    fn call(&mut self, address: &str, own: Option<String>) {
        self.by_address.insert(address.to_owned(), (Instant::now(), own));
    }
}

impl Identities {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Redis {
    /// The address of the config for what others call `address`; `address` itself where that is not known.
    pub fn known_as(&self, address: &str) -> String {
        if self.is_named(address) {
            return address.to_owned();
        }
        self.identities.known().called(address).cloned().flatten().unwrap_or_else(|| address.to_owned())
    }

    /// The same, after looking where the names of the config lead, if that was not done lately.
    pub async fn found_as(&self, address: &str) -> String {
        if self.is_named(address) || self.identities.known().called(address).is_some() {
            return self.known_as(address);
        }
        let own = self.resolved(address).await;
        self.identities.known().call(address, own.clone());
        own.unwrap_or_else(|| address.to_owned())
    }

    /// What other servers call the one at `address` of the config: the address that it announces, where that was heard lately.
    pub fn called_by_others(&self, address: &str) -> String {
        let known = self.identities.known();
        let heard = known.by_address.iter().find(|(_, (_, own))| own.as_deref() == Some(address));
        heard.map_or(address, |(raw, _)| raw).to_owned()
    }

    /// Keeps which process answered at an address of the config.
    pub fn met(&self, address: &str, run_id: &str) {
        if !run_id.is_empty() && self.is_named(address) {
            self.identities.known().by_run_id.insert(run_id.to_owned(), address.to_owned());
        }
    }

    fn recognised(&self, address: &str, run_id: &str) -> bool {
        if self.is_named(address) {
            return true;
        }
        let mut known = self.identities.known();
        match known.by_run_id.get(run_id).cloned() {
            Some(own) => {
                known.call(address, Some(own));
                true
            }
            // What was told of the last process there says nothing of this one.
            None if !run_id.is_empty() => {
                known.by_address.remove(address);
                false
            }
            None => known.called(address).is_some_and(Option::is_some),
        }
    }

    /// Calls every server in `views` as the config does, after finding out who is who if that is not known yet.
    pub async fn recognise(&self, views: &mut [View], patience: Duration) {
        let told: BTreeSet<(String, String)> = views.iter().flat_map(View::told).collect();
        // What is not known by then stays a stranger until the next look.
        let _ = timeout(patience.min(LONGEST), self.find_out(&told)).await;
        views.iter_mut().for_each(|view| view.call(|address| self.known_as(address)));
    }

    async fn find_out(&self, told: &BTreeSet<(String, String)>) {
        let strangers =
            || told.iter().filter(|(address, run_id)| !self.recognised(address, run_id)).collect::<Vec<_>>();
        if strangers().is_empty() || self.servers_named().is_empty() || !self.identities.known().is_due() {
            return;
        }
        self.ask_around().await;
        for (address, run_id) in strangers() {
            let Some(own) = self.resolved(address).await else { continue };
            let mut known = self.identities.known();
            known.call(address, Some(own.clone()));
            if !run_id.is_empty() {
                known.by_run_id.insert(run_id.clone(), own);
            }
        }
        // Who is no stranger any more is not asked about again.
        if strangers().is_empty() {
            self.identities.known().asked = None;
        }
    }

    /// Asks all servers of the config which process they are.
    async fn ask_around(&self) {
        let ask = async |address: &String| -> Result<(), Fault> {
            let mut link = self.client.connect(Peer::Server, address).await?;
            let info = text(&link.ask(&["INFO", "server"]).await?).unwrap_or_default();
            self.met(address, lines(&info).get("run_id").copied().unwrap_or_default());
            Ok(())
        };
        // Who does not answer stays unknown; its name is looked up instead.
        let asked = self.servers_named().into_iter().map(|address| self.within(LOOKUP, address, ask(address)));
        join_all(asked).await;
    }

    /// The only address of the config whose name leads to `address`.
    pub async fn resolved(&self, address: &str) -> Option<String> {
        let (host, port) = split(address)?;
        let wanted: Vec<IpAddr> = match host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => addresses(host, port).await,
        };
        let named = self.servers_named().into_iter().filter(|own| split(own).is_some_and(|(_, own)| own == port));
        let leads = async |own: &String| {
            let (host, port) = split(own)?;
            addresses(host, port).await.iter().any(|found| wanted.contains(found)).then(|| own.clone())
        };
        let found: Vec<String> = join_all(named.map(leads)).await.into_iter().flatten().collect();
        match &found[..] {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// Servers that others know and that the config gives no region: they are neither steered nor promoted, and whoever counts on
    /// the regions would count wrong.
    pub fn strangers<'a>(&self, addresses: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let nowhere = addresses.into_iter().filter(|address| self.region(address).is_none());
        nowhere.map(|address| self.full_name(address)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The guard on them.
    pub fn placed_guard<'a>(&self, addresses: impl IntoIterator<Item = &'a String>) -> Guard {
        const NAME: &str = "nodes";
        let strangers = self.strangers(addresses);
        match &strangers[..] {
            [] => Guard::pass(NAME, "every server that is known belongs to a region of the config"),
            _ => Guard::block(
                NAME,
                format!(
                    "{} belongs to no region: list it in `nodes` and `regions`, by the address that Mayday reaches it at",
                    strangers.join(" and ")
                ),
            ),
        }
    }
}

/// What a name stands for; nothing where that is not known in time.
async fn addresses(host: &str, port: u16) -> Vec<IpAddr> {
    match timeout(LOOKUP, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => found.map(|found| found.ip()).collect(),
        _ => Vec::new(),
    }
}
