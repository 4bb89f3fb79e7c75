//! What the nodes say, all of them asked at once. <https://redis.io/docs/latest/commands/cluster-nodes/>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use futures::future::join_all;

use super::super::client::{Peer, text};
use super::super::node::{Server, lines};
use super::super::writes::{self, Writes};
use super::Cluster;
use crate::domain::system::Fault;

pub const SLOTS: u32 = 16_384;

/// A line of `CLUSTER NODES`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub id: String,
    pub address: String,
    pub myself: bool,
    pub master: bool,
    /// Its majority agrees that it is gone (`fail`).
    pub failed: bool,
    /// Whose replica it is.
    pub of: String,
    pub epoch: u64,
    pub slots: Vec<(u32, u32)>,
    /// Slots that are being moved to or from it.
    pub moving: bool,
}

/// What one node says.
#[derive(Clone, Debug)]
pub struct View {
    pub server: Server,
    pub id: String,
    /// `cluster_state:ok`: it can serve, as far as it sees.
    pub serves: bool,
    pub epoch: u64,
    pub rows: Vec<Row>,
}

/// What all nodes of the config say, by their address there.
pub struct Sight {
    pub views: BTreeMap<String, View>,
    pub silent: BTreeMap<String, Fault>,
}

/// A share of the slots, and who holds it.
#[derive(Clone, Debug)]
pub struct Shard {
    pub master: Row,
    pub replicas: Vec<Row>,
}

impl Shard {
    /// `0-5460`
    pub fn words(&self) -> String {
        let range = |(from, to): &(u32, u32)| if from == to { from.to_string() } else { format!("{from}-{to}") };
        format!("slots {}", self.master.slots.iter().map(range).collect::<Vec<_>>().join(","))
    }
}

impl Sight {
    /// The picture of the node that has seen most: the newest epoch, and among those one that can serve.
    fn newest(&self) -> Option<&View> {
        self.views.values().max_by_key(|view| (view.serves, view.epoch))
    }

    /// Every shard that has slots. What a node says of itself counts more than what others say of it.
    pub fn shards(&self) -> Vec<Shard> {
        let Some(newest) = self.newest() else { return Vec::new() };
        let own = |row: &Row| {
            let view = self.views.values().find(|view| view.id == row.id);
            let told = view.and_then(|view| view.rows.iter().find(|own| own.myself));
            Row { failed: row.failed && view.is_none(), ..told.unwrap_or(row).clone() }
        };
        let rows: Vec<Row> = newest.rows.iter().map(own).collect();
        Self::of(&rows)
    }

    /// The shards of these nodes.
    fn of(rows: &[Row]) -> Vec<Shard> {
        let shard = |master: &Row| Shard {
            master: master.clone(),
            replicas: rows.iter().filter(|row| !row.master && row.of == master.id).cloned().collect(),
        };
        // A master that was replaced while it was cut off goes on claiming its slots: of two claims the newer one counts.
        let mut masters: Vec<Row> = rows.iter().filter(|row| row.master && !row.slots.is_empty()).cloned().collect();
        masters.sort_by_key(|row| std::cmp::Reverse(row.epoch));
        let mut taken = BTreeSet::new();
        for master in &mut masters {
            let own: BTreeSet<u32> = held(&master.slots).filter(|slot| !taken.contains(slot)).collect();
            master.slots = ranges(&own);
            taken.extend(own);
        }
        masters.retain(|row| !row.slots.is_empty());
        masters.sort_by_key(|row| row.slots.first().copied());
        masters.iter().map(shard).collect()
    }

    /// How many slots somebody holds.
    pub fn covered(shards: &[Shard]) -> u32 {
        let all: BTreeSet<u32> = shards.iter().flat_map(|shard| held(&shard.master.slots)).collect();
        u32::try_from(all.len()).unwrap_or(SLOTS)
    }

    pub fn view(&self, id: &str) -> Option<&View> {
        self.views.values().find(|view| view.id == id)
    }

    /// Whether a majority of the masters that hold slots answers: only then does the cluster promote by vote.
    pub fn has_majority(&self, shards: &[Shard]) -> bool {
        let living = shards.iter().filter(|shard| self.view(&shard.master.id).is_some()).count();
        !shards.is_empty() && living > shards.len() / 2
    }

    pub fn summary(&self) -> String {
        let mut words = format!("{} of {} nodes answer", self.views.len(), self.views.len() + self.silent.len());
        for fault in self.silent.values() {
            words += &format!("; {}", fault.what);
        }
        words
    }
}

/// The slots of ranges; what lies beyond all slots is none.
fn held(ranges: &[(u32, u32)]) -> impl Iterator<Item = u32> + '_ {
    ranges.iter().flat_map(|(from, to)| *from..=(*to).min(SLOTS - 1))
}

/// Slots as ranges, the way the cluster writes them.
fn ranges(slots: &BTreeSet<u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for slot in slots {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *slot => *to = *slot,
            _ => ranges.push((*slot, *slot)),
        }
    }
    ranges
}

impl Cluster {
    pub async fn look(&self, patience: Duration) -> Sight {
        let named: Vec<String> = self.redis.servers_named().into_iter().cloned().collect();
        let asked = named.iter().map(|address| self.redis.within(patience, address, self.view(address)));
        let answers = join_all(asked).await;
        let (mut views, mut silent) = (BTreeMap::new(), BTreeMap::new());
        for (address, answer) in named.into_iter().zip(answers) {
            match answer {
                Ok(view) => {
                    let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
                    ids.insert(view.id.clone(), address.clone());
                    drop(ids);
                    drop(views.insert(address, view));
                }
                Err(fault) => drop(silent.insert(address, fault)),
            }
        }
        Sight { views, silent }
    }

    async fn view(&self, address: &str) -> Result<View, Fault> {
        let mut server = self.redis.server(address).await?;
        let mut link = self.redis.client.connect(Peer::Server, address).await?;
        let info = text(&link.ask(&["CLUSTER", "INFO"]).await?).unwrap_or_default();
        let nodes = text(&link.ask(&["CLUSTER", "NODES"]).await?).unwrap_or_default();
        let lines = lines(&info);
        let rows: Vec<Row> = nodes.lines().filter_map(row).collect();
        let Some(myself) = rows.iter().find(|row| row.myself) else {
            return Err(Fault::permanent(&*self.redis.id, format!("{address} is in no cluster"))
                .next("use kind = \"redis\" for servers without one"));
        };
        if server.master
            && let Some((slot, _)) = myself.slots.first()
        {
            let said = text(&link.ask(&["INFO"]).await?).unwrap_or_default();
            server.writes = writes::tried(&mut link, &key_of(*slot), &super::super::node::lines(&said)).await;
        } else if server.master {
            server.writes = Writes::Untried("it holds no slots".into());
        }
        Ok(View {
            id: myself.id.clone(),
            serves: lines.get("cluster_state") == Some(&"ok"),
            epoch: lines.get("cluster_current_epoch").and_then(|it| it.parse().ok()).unwrap_or_default(),
            server,
            rows,
        })
    }

    /// The address of the config for a node, by its id, or what the cluster calls it.
    pub fn address(&self, row: &Row) -> String {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.get(&row.id).cloned().unwrap_or_else(|| self.redis.known_as(&row.address))
    }
}

/// `07c3… 10.0.0.1:6379@16379,hostname myself,master - 0 1426238317239 4 connected 0-5460 [93-<-292f…]`
fn row(line: &str) -> Option<Row> {
    let mut words = line.split_whitespace();
    let (id, place, flags, of) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut rest = words.skip(2);
    let epoch = rest.next()?.parse().ok()?;
    let address = place.split(['@', ',']).next()?;
    let (host, port) = address.rsplit_once(':')?;
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { address.to_owned() };
    let is = |flag: &str| flags.split(',').any(|it| it == flag);
    let (mut slots, mut moving) = (Vec::new(), false);
    for word in rest.skip(1) {
        match word.starts_with('[') {
            true => moving = true,
            false => {
                let (from, to) = word.split_once('-').unwrap_or((word, word));
                slots.push((from.parse().ok()?, to.parse().ok()?));
            }
        }
    }
    Some(Row {
        id: id.to_owned(),
        address,
        myself: is("myself"),
        master: is("master"),
        failed: is("fail"),
        of: if of == "-" { String::new() } else { of.to_owned() },
        epoch,
        slots,
        moving,
    })
}

/// A key of that slot, under the prefix of all that Mayday touches: only what stands in braces decides.
fn key_of(slot: u32) -> String {
    let found = (0u32..).map(|nth| nth.to_string()).find(|tag| u32::from(crc16(tag.as_bytes())) % SLOTS == slot);
    format!("{}:{{{}}}", writes::NOTHING, found.unwrap_or_default())
}

/// CRC-16/XMODEM, as the specification of the cluster has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who claims slots, with which epoch, and which ones.
    type Claim<'c> = (&'c str, u64, &'c [(u32, u32)]);

    fn claims(rows: &[Claim<'_>]) -> Vec<Shard> {
        let row = |(id, epoch, slots): &Claim<'_>| Row {
            id: (*id).to_owned(),
            master: true,
            epoch: *epoch,
            slots: slots.to_vec(),
            ..Row::default()
        };
        let rows: Vec<Row> = rows.iter().map(row).collect();
        Sight::of(&rows)
    }

    #[test]
    fn a_slot_that_two_claim_is_the_newer_ones_and_counts_once() {
        let all = claims(&[("a", 1, &[(0, 8191)]), ("b", 2, &[(8192, SLOTS - 1)])]);
        assert_eq!((all.len(), Sight::covered(&all)), (2, SLOTS));
        // The old master of the first half was cut off, and claims a part that was moved on since.
        let stale = claims(&[("old", 1, &[(0, 8191)]), ("new", 3, &[(0, 8000)]), ("b", 2, &[(8200, SLOTS - 1)])]);
        let words: Vec<(String, String)> = stale.iter().map(|shard| (shard.master.id.clone(), shard.words())).collect();
        let wanted = [("new", "slots 0-8000"), ("old", "slots 8001-8191"), ("b", "slots 8200-16383")];
        assert_eq!(words, wanted.map(|(id, slots)| (id.to_owned(), slots.to_owned())));
        assert_eq!(Sight::covered(&stale), SLOTS - 8, "eight slots are nobody's");
        let replaced = claims(&[("old", 1, &[(0, 8191)]), ("new", 3, &[(0, 8191)])]);
        assert_eq!(replaced.len(), 1, "who lost all of them is no shard's master");
    }

    #[test]
    fn a_line_is_read_as_the_cluster_writes_it() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(u32::from(crc16(b"foo")) % SLOTS, 12182);
        assert!(key_of(0).starts_with("mayday:nothing:{"));
        let said = row(
            "07c3 10.0.0.1:6379@16379,r1.example myself,master - 0 1426238317239 4 connected 0-5460 7000 [93-<-292f]",
        )
        .unwrap();
        assert_eq!(said.slots, [(0, 5460), (7000, 7000)]);
        assert!(said.myself && said.master && said.moving && !said.failed && said.epoch == 4);
        assert_eq!(said.address, "10.0.0.1:6379");
        let replica = row("a1 ::1:7001@17001 slave,fail 07c3 0 1 4 disconnected").unwrap();
        assert!(replica.failed && !replica.master && replica.of == "07c3" && replica.address == "[::1]:7001");
        assert_eq!(row("vars currentEpoch 6 lastVoteEpoch 0"), None);
    }
}
