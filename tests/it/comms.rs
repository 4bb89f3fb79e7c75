//! Everyone is told with one command, against the lab's servers; and the engine is killed at every append of that, without anything being
//! lost and without a customer being mailed twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use mayday::api::client::Client;
use mayday::domain::command::Ask;
use mayday::domain::comms::{PartPhase, Posted, Purpose};
use mayday::domain::incident::Severity;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, Pace, estate};

use crate::common::{all_alone, appends, eventually};
use crate::process::Home;

/// Tellings that are played at once: most of their time is waiting.
const AT_ONCE: usize = 4;

/// No limit of a vendor is felt.
const SPEED: Pace = Pace(10_000.0);

/// The lab's estate with so many customers, and next to no time to take something back.
fn home(lab: &Lab, customers: usize, environment: &str) -> Home {
    // Probes at a pace that leaves the machine to what is tested.
    let mut config: toml::Table = estate::config_for(&lab.endpoints, Pace(200.0)).unwrap().parse().unwrap();
    crate::process::unhurried(&mut config, "5s");
    config["estate"].as_table_mut().unwrap().insert("environment".into(), environment.into());
    config["comms"].as_table_mut().unwrap().insert("take_back".into(), "50ms".into());
    let list: Vec<toml::Value> = (0..customers).map(|at| format!("customer-{at}@example.com").into()).collect();
    for channel in config["channel"].as_array_mut().unwrap() {
        let channel = channel.as_table_mut().unwrap();
        if channel["id"].as_str() == Some("customers") {
            channel.remove("to_file");
            channel.insert("to".into(), list.clone().into());
        }
    }
    Home::new(&config.to_string())
}

async fn declare(client: &Client, drill: bool) {
    let ask = Ask::Declare { title: "east is dark".into(), severity: Severity::Sev1, drill };
    client.ask(&ask).await.unwrap();
}

fn tell() -> Ask {
    Ask::Tell {
        purpose: Purpose::Investigating,
        texts: BTreeMap::new(),
        audiences: Vec::new(),
        note: String::new(),
        incident: None,
        despite: String::new(),
    }
}

async fn update(client: &Client) -> Option<Posted> {
    let view = client.snapshot().await.ok()?;
    view.state.outbox.messages.into_iter().find(|it| it.message.purpose.is_update() && it.recalled.is_none())
}

/// How many letters each customer has.
fn mailed(lab: &Lab) -> BTreeMap<String, usize> {
    let mut mailed = BTreeMap::new();
    for letter in lab.world.truth().inbox.of(Some("smtp")) {
        for to in letter.to.iter().filter(|to| to.starts_with("customer-")) {
            *mailed.entry(to.clone()).or_default() += 1;
        }
    }
    mailed
}

/// How often an update was first told to a service of the lab: what changes it later, and what hangs on it, does not count.
fn told(lab: &Lab, service: &str) -> usize {
    lab.world.truth().inbox.of(Some(service)).filter(|it| ["post", "incident"].contains(&it.kind)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_command_tells_a_thousand_customers_and_every_channel_and_holds_nobody_up() {
    let lab = Lab::start(SPEED).await.unwrap();
    let home = home(&lab, 1000, "production");
    let _engine = home.engine().await;
    let client = home.client();
    declare(&client, false).await;
    client.ask(&tell()).await.unwrap();
    let mut slowest = Duration::ZERO;
    let posted = eventually("everyone is told", async || {
        // Whatever is on its way, the engine answers.
        let asked = Instant::now();
        client.ask(&Ask::Note { text: "still here".into() }).await.unwrap();
        slowest = slowest.max(asked.elapsed());
        update(&client).await.filter(Posted::is_settled)
    })
    .await;
    for (channel, delivery) in &posted.deliveries {
        assert_eq!(delivery.phase(), PartPhase::Sent, "{channel}: {:?}", delivery.trouble());
        println!("{channel}: {} parts in {:.2} s", delivery.parts.len(), delivery.took().unwrap());
    }
    println!("slowest answer of the engine meanwhile: {slowest:?}");
    assert!(posted.deliveries.len() >= 5, "{:?}", posted.deliveries.keys());
    let mailed = mailed(&lab);
    assert_eq!((mailed.len(), mailed.values().max()), (1000, Some(&1)));
    assert!(slowest < Duration::from_secs(5), "the writer was held up for {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_dead_channel_delays_no_other() {
    let lab = Lab::start(SPEED).await.unwrap();
    let home = home(&lab, 60, "production");
    let _engine = home.engine().await;
    let client = home.client();
    declare(&client, false).await;
    lab.world.truth().faults.set("slack", Condition::Refused);
    client.ask(&tell()).await.unwrap();
    let posted = eventually("all others are told", async || {
        let posted = update(&client).await?;
        let open = posted.deliveries.iter().filter(|(_, it)| it.phase() != PartPhase::Sent).count();
        (open == 1).then_some(posted)
    })
    .await;
    assert!(posted.deliveries["slack"].phase() != PartPhase::Sent, "nobody else waits for the dead one");
    lab.world.truth().faults.set("slack", Condition::Up);
    eventually("the dead one is told too", async || update(&client).await.filter(Posted::is_settled)).await;
    assert_eq!(told(&lab, "slack"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_drill_the_public_and_customers_cannot_be_reached() {
    let lab = Lab::start(SPEED).await.unwrap();
    let home = home(&lab, 60, "test");
    let _engine = home.engine().await;
    let client = home.client();
    declare(&client, true).await;
    client.ask(&tell()).await.unwrap();
    let posted = eventually("the drill is told", async || update(&client).await.filter(Posted::is_settled)).await;
    assert!(posted.message.texts.values().all(|text| text.subject.starts_with("DRILL")), "{:?}", posted.message.texts);
    let truth = lab.world.truth();
    assert!(truth.inbox.of(Some("slack")).count() > 0, "the team is told");
    assert_eq!((truth.inbox.of(Some("statuspage")).count(), truth.inbox.of(Some("webhook")).count()), (0, 0));
    drop(truth);
    assert!(mailed(&lab).is_empty());
}

/// How one telling went.
struct Played {
    crashed: bool,
    /// Customers in batches of which it is not known whether they arrived.
    unknown: usize,
    mailed: BTreeMap<String, usize>,
}

const CUSTOMERS: usize = 200;

async fn play(crash: Option<&str>) -> Played {
    let what = crash.unwrap_or("no crash").to_owned();
    let lab = Lab::start(SPEED).await.unwrap();
    let home = home(&lab, CUSTOMERS, "production");
    let mut process = home.doomed_engine(crash);
    let client = home.client();
    eventually(&format!("the engine answers ({what})"), async || client.snapshot().await.ok()).await;
    declare(&client, false).await;
    // The engine may die while it answers.
    let _ = client.ask(&tell()).await;
    let mut crashed = false;
    let posted = eventually(&format!("all is settled ({what})"), async || {
        if process.has_ended() {
            crashed = true;
            process = home.doomed_engine(None);
        }
        let view = client.snapshot().await.ok()?;
        if !view.state.outbox.messages.iter().any(|it| it.message.purpose.is_update()) {
            let _ = client.ask(&tell()).await;
            return None;
        }
        update(&client).await.filter(Posted::is_settled)
    })
    .await;
    let mailed = mailed(&lab);
    assert!(mailed.values().all(|count| *count == 1), "{what}: somebody was mailed twice: {mailed:?}");
    for (service, channel) in [("slack", "slack"), ("statuspage", "statuspage")] {
        let phase = posted.deliveries[channel].phase();
        assert_eq!((phase, told(&lab, service)), (PartPhase::Sent, 1), "{what}: {service}");
    }
    let customers = &posted.deliveries["customers"];
    let open: Vec<_> = customers.parts.iter().filter(|part| part.phase != PartPhase::Sent).collect();
    assert!(open.len() <= 1, "{what}: only what was being sent can be unknown: {open:?}");
    assert!(open.iter().all(|part| part.phase == PartPhase::Unknown), "{what}: {open:?}");
    if open.is_empty() {
        assert_eq!(mailed.len(), CUSTOMERS, "{what}: somebody was left out");
    }
    Played { crashed, unknown: CUSTOMERS - mailed.len(), mailed }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_every_fourth_append_of_a_telling_nothing_is_lost_and_nobody_is_mailed_twice() {
    killed_at_every(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes; .ci/run plays it"]
async fn killed_at_every_append_of_a_telling_nothing_is_lost_and_nobody_is_mailed_twice() {
    killed_at_every(1).await;
}

async fn killed_at_every(nth: usize) {
    let _alone = all_alone().await;
    let calm = play(None).await;
    assert!(!calm.crashed && calm.mailed.len() == CUSTOMERS);
    let (mut kills, mut last, mut letters, mut unknown) = (0, 0, 0, 0);
    for (when, numbers) in appends(nth) {
        let trials =
            stream::iter(numbers).map(|number| async move { (number, play(Some(&format!("{when}:{number}"))).await) });
        let mut trials = Box::pin(trials.buffered(AT_ONCE));
        while let Some((number, played)) = trials.next().await {
            if !played.crashed {
                break;
            }
            (kills, last) = (kills + 1, last.max(number));
            letters += played.mailed.len();
            unknown += usize::from(played.unknown > 0);
        }
    }
    println!(
        "{kills} kills at every {nth} of {last} appends; {letters} letters to {CUSTOMERS} customers each time, nobody twice; \
         {unknown} times a batch was left for a human to look at"
    );
    assert!(last > 8, "{kills} kills, the last at append {last}");
}
