//! Two engines that share a journal, and a whole failover with a blow to the one that leads: for every store there is.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use mayday::api::client::Client;
use mayday::domain::command::Ask;
use mayday::domain::event::{Event, Record};
use mayday::domain::incident::Severity;
use mayday::domain::lead::Engines;
use mayday::domain::run::{Mode, Outcome};
use mayday::domain::view::Snapshot;
use mayday::domain::wayback::is_for_afterwards;
use mayday::lab::faults::Condition;
use mayday::lab::world::Mutation;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::common::{appends, eventually, is_ready};
use crate::process::{Engine, Home};

const SPEED: Pace = Pace(200.0);
/// Accepted changes by place, action and target.
pub type Changes = BTreeMap<(String, String, String), usize>;

/// What is journalled of peacetime has been: no append of it comes by chance in the middle of the failover.
pub fn is_known(view: &Snapshot) -> bool {
    view.estate.backups.iter().all(|it| view.live.backups.contains_key(&it.id))
        && view.plans.iter().all(|plan| is_for_afterwards(&plan.id) || view.live.readiness.contains_key(&plan.id))
}

/// What was changed, and how often, but for what comes by chance.
pub fn changes(lab: &Lab) -> Changes {
    let mut changes = Changes::new();
    // A verification may write its canary as often as it looks. An autoscaler whose minimum was raised scales its deployment by itself,
    // and whether our own patch comes before that is chance.
    let by_chance = |change: &Mutation| {
        change.action == "PATCH deployments/scale"
            && change.place.ends_with(STANDBY)
            && ["api-gateway", "grn-engine"].contains(&change.target.as_str())
    };
    // Writes that are held back go on by themselves, and whether we or the Sentinels make the old master a replica first is chance, too.
    let hands_over = |change: &Mutation| {
        ["CLIENT PAUSE", "CLIENT UNPAUSE", "REPLICAOF"].contains(&change.action.as_str())
            && change.place.starts_with("redis@")
    };
    let counts = |change: &&Mutation| {
        change.accepted && change.target != "mayday:canary" && !by_chance(change) && !hands_over(change)
    };
    for change in lab.world.truth().ledger.iter().filter(counts) {
        *changes.entry((change.place.clone(), change.action.clone(), change.target.clone())).or_default() += 1;
    }
    changes
}

/// Where the engines of a test keep their journal, as the config says it.
pub trait Store {
    fn toml(&self) -> String;
}

impl Store for TempDir {
    fn toml(&self) -> String {
        format!("sqlite = {{ path = {:?} }}", self.path().join("shared.db").display().to_string())
    }
}

/// Two hosts, as far as two engines of one machine can be that.
pub struct Pair {
    pub homes: [Home; 2],
}

pub const NAMES: [&str; 2] = ["bastion-1", "bastion-2"];

impl Pair {
    pub fn new(store: &dyn Store, lease: &str, home: impl Fn() -> Home) -> Self {
        let homes = [home(), home()];
        for home in &homes {
            let path = home.dir().join("config.toml");
            let config = fs::read_to_string(&path).unwrap();
            let journal = format!("journal = {{ {}, lease = \"{lease}\" }}\n", store.toml());
            fs::write(&path, journal + &config).unwrap();
        }
        Self { homes }
    }

    /// Starts one of them, that dies at the append that `crash` names, if it names one.
    pub fn start(&self, which: usize, crash: Option<&str>) -> Engine {
        let mut command = self.homes[which].mayday("engine");
        command
            .args(["--name", NAMES[which]])
            .env("MAYDAY_LOG", "warn")
            .envs(crash.map(|crash| ("MAYDAY_CRASH", crash)));
        Engine::spawn(command, &self.homes[which].dir().join("engine.err"))
    }

    pub fn client(&self, which: usize) -> Client {
        self.homes[which].client()
    }

    /// Waits until one of them sees the engines so.
    pub async fn sees(&self, which: usize, what: &str, holds: impl Fn(&Engines) -> bool) -> Snapshot {
        let words = self.homes[which].dir().join("engine.err");
        let client = self.client(which);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut last = None;
        loop {
            if let Ok(view) = client.snapshot().await {
                if view.live.engines.as_deref().is_some_and(&holds) {
                    return view;
                }
                last = view.live.engines;
            }
            assert!(
                Instant::now() < deadline,
                "{} {what}: {last:#?}\n{}",
                NAMES[which],
                fs::read_to_string(&words).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first leads, the second follows it.
    pub async fn both(&self) -> [Engine; 2] {
        let first = self.start(0, None);
        self.sees(0, "leads", |it| it.leads).await;
        let second = self.start(1, None);
        self.sees(1, "follows the first", follows).await;
        [first, second]
    }
}

pub fn follows(engines: &Engines) -> bool {
    !engines.leads && engines.living_leader().is_some_and(|leader| leader.name == NAMES[0]) && engines.present() == 2
}

/// How a failover with two engines went.
pub struct Played {
    pub crashed: bool,
    pub changes: Changes,
    /// How often each message was taken, of those that have a mark.
    pub said: BTreeMap<(String, String, String), usize>,
}

fn lab_pair(store: &dyn Store, lab: &Lab) -> Pair {
    Pair::new(store, "2s", || Home::patient(lab))
}

/// What happens to the leader in the middle.
#[derive(Clone, Copy)]
pub enum Blow<'b> {
    None,
    /// It dies at this append.
    Crash(&'b str),
    /// It is stopped once so many records were written since the run began, and goes on after three leases.
    Stop(u64),
}

/// A whole failover, begun at the leader, with a blow to it. Whoever leads then ends it.
pub async fn play(store: &dyn Store, blow: Blow<'_>) -> Played {
    let crash = if let Blow::Crash(at) = blow { Some(at) } else { None };
    let what = match blow {
        Blow::None => "no blow".to_owned(),
        Blow::Crash(at) => format!("killed {at}"),
        Blow::Stop(after) => format!("stopped after {after} records"),
    };
    let lab = Lab::start(SPEED).await.unwrap();
    let pair = lab_pair(store, &lab);
    let mut first = pair.start(0, crash);
    pair.sees(0, "leads", |it| it.leads).await;
    let _second = pair.start(1, None);
    let clients = [pair.client(0), pair.client(1)];
    eventually(&format!("the lab is healthy, and the plans were held against it ({what})"), async || {
        clients[0].snapshot().await.ok().filter(|view| is_ready(view) && is_known(view))
    })
    .await;
    pair.sees(1, "follows", follows).await;
    lab.world.truth().faults.set(&format!("neo4j@{PRIMARY}"), Condition::Refused);
    let title = "leave the region".into();
    clients[0].ask(&Ask::Declare { title, severity: Severity::Sev2, drill: false }).await.unwrap();
    let (plan, mode, reason) = ("regional-failover".into(), Mode::Live, "two engines".into());
    let start = Ask::StartRun { plan, mode, reason, unattended: true };
    let begun = clients[0].snapshot().await.unwrap().state.seq;
    // The leader may die while it answers; what it had journalled by then goes on.
    let _ = clients[0].ask(&start).await;
    let (mut crashed, mut stopped, mut seen) = (false, None::<Instant>, Vec::<Record>::new());
    let outcome = eventually(&format!("the failover ends ({what})"), async || {
        crashed |= first.has_ended();
        let view = clients[1].snapshot().await.ok()?;
        match (blow, stopped) {
            (Blow::Stop(after), None) if view.state.seq >= begun + after => {
                first.signal(Signal::STOP);
                stopped = Some(Instant::now());
            }
            (_, Some(at)) if at.elapsed() >= Duration::from_secs(6) => first.signal(Signal::CONT),
            _ => {}
        }
        let after = seen.last().map_or(0, |record| record.seq);
        seen.extend(clients[1].records(after, 10_000).await.ok()?);
        match &view.state.run {
            None if view.live.engines.as_deref().is_some_and(|it| it.leads) => {
                let _ = clients[1].ask(&start).await;
                None
            }
            None => None,
            Some(run) if run.waits_for_human(false) => panic!("{what}: waits for a human: {:#?}", run.steps),
            Some(run) => run.outcome,
        }
    })
    .await;
    if let Some(at) = stopped {
        // It wakes after three leases, and has all the time it needs to do harm.
        tokio::time::sleep(Duration::from_secs(6).saturating_sub(at.elapsed())).await;
        first.signal(Signal::CONT);
        pair.sees(0, "follows", |it| !it.leads && it.living_leader().is_some()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(outcome, Outcome::Completed, "{what}");
    let chain = clients[1].verify().await.unwrap();
    let journal = clients[1].records(0, 100_000).await.unwrap();
    assert!(chain.records as usize <= journal.len(), "{what}");
    assert!(journal.iter().zip(1..).all(|(record, seq)| record.seq == seq), "{what}: a number is missing");
    assert!(seen.iter().all(|record| journal.contains(record)), "{what}: an event that was shown is lost");
    let ends = journal.iter().filter(|it| matches!(it.event, Event::RunEnded { .. })).count();
    assert_eq!(ends, 1, "{what}");
    Played { crashed, changes: changes(&lab), said: said(&lab) }
}

/// What was said to people, and how often: nothing has the mark of another.
fn said(lab: &Lab) -> BTreeMap<(String, String, String), usize> {
    let mut said = BTreeMap::new();
    for message in lab.world.truth().inbox.of(None) {
        if let Some(mark) = &message.mark {
            let key = (message.service.to_owned(), format!("{} {:?}", message.kind, message.to), mark.clone());
            *said.entry(key).or_default() += 1;
        }
    }
    said
}

/// The leader dies at every `nth` append of a failover; `store` makes a journal for each.
pub async fn killed_at_every<S: Store>(nth: usize, store: impl AsyncFn() -> S) {
    let calm = play(&store().await, Blow::None).await;
    assert!(!calm.crashed);
    same(&calm, &calm, "no blow");
    let (mut kills, mut last) = (0, 0);
    for (when, numbers) in appends(nth) {
        for number in numbers {
            let played = play(&store().await, Blow::Crash(&format!("{when}:{number}"))).await;
            same(&calm, &played, &format!("killed {when} append {number}"));
            if !played.crashed {
                break;
            }
            (kills, last) = (kills + 1, last.max(number));
        }
    }
    println!("{kills} leaders killed at every {nth} of {last} appends; nothing was done or said twice");
    assert!(last > 30, "{kills} kills, the last at append {last}");
}

/// The same was changed, and nobody was told anything twice.
pub fn same(calm: &Played, played: &Played, what: &str) {
    assert_eq!(played.changes, calm.changes, "{what}");
    let twice: Vec<_> = played.said.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{what}: said twice: {twice:?}");
    assert!(!played.said.is_empty(), "{what}: nobody was told anything");
}
