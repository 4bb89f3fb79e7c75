//! The engine is killed at journal appends of a whole failover, just before the append is durable and just after, in a process
//! of its own, and another one takes over. However it dies: the failover ends, no change is made twice, and no event is lost.

use futures::{StreamExt, stream};
use mayday::domain::command::Ask;
use mayday::domain::event::Record;
use mayday::domain::incident::Severity;
use mayday::domain::run::{Mode, Outcome};
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace};

use crate::common::{all_alone, appends, eventually, is_ready};
use crate::pair::{Changes, changes, is_known};
use crate::process::Home;

/// Failovers that are played at once: most of their time is waiting.
const AT_ONCE: usize = 4;
const SPEED: Pace = Pace(200.0);

/// How one failover went.
struct Played {
    crashed: bool,
    changes: Changes,
}

/// The region is left on purpose, so that every store has to be moved by hand; only the graph's leader is lost, since nothing can
/// make a living one step down.
async fn play(crash: Option<&str>) -> Played {
    let what = crash.unwrap_or("no crash").to_owned();
    let lab = Lab::start(SPEED).await.unwrap();
    let home = Home::patient(&lab);
    let mut process = home.doomed_engine(crash);
    let client = home.client();
    eventually(&format!("the lab is healthy, and the plans were held against it ({what})"), async || {
        client.snapshot().await.ok().filter(|view| is_ready(view) && is_known(view))
    })
    .await;
    lab.world.truth().faults.set(&format!("neo4j@{PRIMARY}"), Condition::Refused);
    client
        .ask(&Ask::Declare { title: "leave the region".into(), severity: Severity::Sev2, drill: false })
        .await
        .unwrap();
    let start = Ask::StartRun {
        plan: "regional-failover".into(),
        mode: Mode::Live,
        reason: "crash test".into(),
        unattended: true,
    };
    // The engine may die while it answers; what it had journalled by then goes on.
    let _ = client.ask(&start).await;
    let (mut crashed, mut seen) = (false, Vec::<Record>::new());
    let outcome = eventually(&format!("the failover ends ({what})"), async || {
        if process.has_ended() {
            crashed = true;
            process = home.doomed_engine(None);
        }
        let view = client.snapshot().await.ok()?;
        let after = seen.last().map_or(0, |record| record.seq);
        seen.extend(client.records(after, 10_000).await.ok()?);
        match &view.state.run {
            None => {
                let _ = client.ask(&start).await;
                None
            }
            Some(run) if run.waits_for_human(false) => panic!("{what}: waits for a human: {:#?}", run.steps),
            Some(run) => run.outcome,
        }
    })
    .await;
    assert_eq!(outcome, Outcome::Completed, "{what}");
    let chain = client.verify().await.unwrap();
    let journal = client.records(0, 100_000).await.unwrap();
    // Probes may have seen something in between.
    assert!(chain.records as usize <= journal.len(), "{what}");
    assert!(journal.iter().zip(1..).all(|(record, seq)| record.seq == seq), "{what}: a number is missing");
    assert!(seen.iter().all(|record| journal.contains(record)), "{what}: an event that was shown is lost");
    Played { crashed, changes: changes(&lab) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_every_seventh_append_it_ends_well_and_changes_nothing_twice() {
    killed_at_every(7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes; .ci/run plays it"]
async fn killed_at_every_append_it_ends_well_and_changes_nothing_twice() {
    killed_at_every(1).await;
}

async fn killed_at_every(nth: usize) {
    let _alone = all_alone().await;
    let calm = play(None).await;
    assert!(!calm.crashed);
    for action in ["PromoteReadReplica", "PutObject", "SENTINEL FAILOVER"] {
        let count: usize = calm.changes.iter().filter(|((_, it, _), _)| it == action).map(|(_, count)| count).sum();
        assert_eq!(count, 1, "{action} in {:#?}", calm.changes);
    }
    let (mut kills, mut last) = (0, 0);
    for (when, numbers) in appends(nth) {
        let trials =
            stream::iter(numbers).map(|number| async move { (number, play(Some(&format!("{when}:{number}"))).await) });
        let mut trials = Box::pin(trials.buffered(AT_ONCE));
        while let Some((number, played)) = trials.next().await {
            assert_eq!(played.changes, calm.changes, "killed {when} append {number}");
            // Past the last append of the failover there is nothing left to die at.
            if !played.crashed {
                break;
            }
            (kills, last) = (kills + 1, last.max(number));
        }
    }
    println!(
        "{kills} kills at every {nth} of {last} appends; {} changes each time, none of them twice",
        calm.changes.values().sum::<usize>()
    );
    assert!(last > 30, "{kills} kills, the last at append {last}");
}
