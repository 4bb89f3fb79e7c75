//! The journal in a bucket, against the lab's S3: the contract of every store, with writers that meet, a bucket that puts off, and answers
//! that get lost.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mayday::config;
use mayday::config::journal::{Kept, S3};
use mayday::domain::command::Ask;
use mayday::domain::journal::{Appended, Journal};
use mayday::domain::objects::Objects;
use mayday::domain::params::Params;
use mayday::domain::system::GuardVerdict;
use mayday::domain::time::At;
use mayday::journal::{Place, SharedJournal};
use mayday::lab::faults::Condition;
use mayday::lab::s3::JOURNAL_BUCKET;
use mayday::lab::{Lab, Pace, STANDBY};
use mayday::systems::s3::JournalBucket;
use mayday::wiring::kinds;
use serde_json::json;
use tempfile::TempDir;

use crate::common::{all_alone, eventually, one_crowd};
use crate::ledger_contract::{self as contract, lead, note, who};
use crate::pair::{Blow, Pair, Store, play, same};
use crate::process::{EMPTY, Home};

async fn lab() -> Lab {
    Lab::start(Pace(1.0)).await.unwrap()
}

fn params(lab: &Lab, prefix: &str) -> Params {
    let given = json!({
        "bucket": JOURNAL_BUCKET, "region": STANDBY, "prefix": prefix,
        "endpoint_url": lab.endpoints[&format!("s3.{STANDBY}")],
        "access_key_id": "LABKEY", "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    serde_json::from_value(given).unwrap()
}

async fn opened(lab: &Lab, prefix: &str, dir: &Path) -> Result<SharedJournal, String> {
    let objects: Arc<dyn Objects> = Arc::new(JournalBucket::new(&params(lab, prefix)));
    SharedJournal::open(&Place::Bucket(objects), dir).await.map_err(|fault| fault.to_string())
}

/// As each of `count` engines has it.
async fn journals(lab: &Lab, prefix: &str, count: usize) -> (Vec<TempDir>, Vec<Arc<dyn Journal>>) {
    let (mut dirs, mut all): (Vec<TempDir>, Vec<Arc<dyn Journal>>) = Default::default();
    for _ in 0..count {
        let dir = tempfile::tempdir().unwrap();
        all.push(Arc::new(opened(lab, prefix, dir.path()).await.unwrap()));
        dirs.push(dir);
    }
    (dirs, all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_the_contract() {
    let lab = lab().await;
    let (dirs, journals) = journals(&lab, "own/", 3).await;
    let (one, two) = (journals[0].clone(), journals[1].clone());
    contract::appends_for_its_term_and_tail_alone(one.clone(), two.clone()).await;
    contract::leads_one_after_the_other(one.clone(), two.clone()).await;
    contract::one_of_many_wins(&journals).await;
    contract::hands_over_once(one.clone(), two.clone()).await;
    contract::meets(one.clone(), two.clone()).await;
    contract::wakes(one.clone(), two.clone()).await;
    let tail = one.tail().await.unwrap();
    let fresh = opened(&lab, "own/", dirs[2].path()).await.unwrap();
    assert_eq!(Journal::tail(&fresh).await.unwrap(), tail);
    assert!(lab.world.truth().ledger.iter().all(|it| !it.target.starts_with(JOURNAL_BUCKET)), "nothing of the estate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_meets_is_put_off_or_gets_no_answer_is_written_once_or_not_at_all() {
    let lab = lab().await;
    let (_dirs, journals) = journals(&lab, "faults/", 2).await;
    let (one, two) = (&journals[0], &journals[1]);
    let set = |condition| lab.world.truth().faults.set(&format!("s3@{STANDBY}"), condition);
    let term = lead(&**one, "one").await;
    let append = async |text: &str| one.append(term, &one.tail().await.unwrap(), At::now(), vec![note(text)]).await;

    lab.world.truth().s3.meetings = 3;
    assert!(matches!(append("met").await, Appended::Durable(_)));
    assert_eq!(lab.world.truth().s3.meetings, 0);
    lab.world.truth().s3.meetings = 2;
    assert!(one.renew(term).await.unwrap());

    // It is put off for as long as it is tried: nothing was written, and that is known.
    let tail = one.tail().await.unwrap();
    set(Condition::Throttled);
    let put_off = one.append(term, &tail, At::now(), vec![note("late")]).await;
    let Appended::NotWritten(fault) = put_off else { panic!("{put_off:?}") };
    assert!(
        fault.to_string().contains("s3://gennet-journal/faults/") && fault.to_string().contains("throttled"),
        "{fault}"
    );
    // Answers break off: it was written, and nobody can say so.
    set(Condition::Half);
    let unsure = one.append(term, &tail, At::now(), vec![note("half")]).await;
    let Appended::Unknown(meant, _) = unsure else { panic!("{unsure:?}") };
    set(Condition::Up);
    let (records, chain) = two.pages(&tail, 10).await.unwrap();
    assert_eq!((records, chain), (meant.records, meant.chain), "once, however often it was sent");
    two.verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_was_emptied_or_is_another_one_is_not_taken_for_the_same() {
    let lab = lab().await;
    let dir = tempfile::tempdir().unwrap();
    let journal = opened(&lab, "old/", dir.path()).await.unwrap();
    let term = lead(&journal, "one").await;
    let tail = Journal::tail(&journal).await.unwrap();
    assert!(matches!(journal.append(term, &tail, At::now(), vec![note("a"), note("b")]).await, Appended::Durable(_)));
    journal.meet(&who("one"), 2).await.unwrap();
    let objects = JournalBucket::new(&params(&lab, "old/"));
    let slots = objects.list("slots/", None, None).await.unwrap();
    assert_eq!(slots.len(), 2, "a mark, and what was appended");
    objects.remove(&slots[1].key).await.unwrap();
    let said = opened(&lab, "old/", dir.path()).await.err().unwrap();
    assert!(said.contains("this host has seen 2: 2 are lost") && said.contains("shorter by 2 records"), "{said}");
    let said = opened(&lab, "new/", dir.path()).await.err().unwrap();
    assert!(said.contains("another journal than the one that this host has seen"), "{said}");
    let guards = objects.protection().await.unwrap();
    assert!(guards.iter().all(|it| it.verdict == GuardVerdict::Pass), "{guards:?}");

    // One that does not answer is told by its name, with what to do.
    lab.world.truth().faults.set(&format!("s3@{STANDBY}"), Condition::Denied);
    let said = opened(&lab, "old/", dir.path()).await.err().unwrap();
    assert!(said.contains("s3://gennet-journal/old/") && said.contains("refused (403)"), "{said}");
}

/// Where engines find it.
struct InBucket {
    lab: Lab,
    prefix: String,
}

impl Store for InBucket {
    fn toml(&self) -> String {
        let (prefix, url) = (&self.prefix, &self.lab.endpoints[&format!("s3.{STANDBY}")]);
        format!(
            "s3 = {{ bucket = \"{JOURNAL_BUCKET}\", region = \"{STANDBY}\", prefix = \"{prefix}\", endpoint_url = \"{url}\", \
             access_key_id = \"LABKEY\", secret_access_key = {{ command = [\"printf\", \"labsecret\"] }} }}"
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failover_with_its_journal_in_a_bucket_is_ended_by_the_other_engine() {
    let _alone = all_alone().await;
    let store = async |prefix: &str| InBucket { lab: lab().await, prefix: prefix.into() };
    let calm = play(&store("calm/").await, Blow::None).await;
    let killed = play(&store("killed/").await, Blow::Crash("after:14")).await;
    assert!(killed.crashed);
    same(&calm, &killed, "killed after append 14");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_moves_into_a_bucket_with_its_chain() {
    let _crowd = one_crowd().await;
    let store = InBucket { lab: lab().await, prefix: "moved/".into() };
    let pair = Pair::new(&store, "3s", || Home::new(EMPTY));
    // What there is was written by an engine of its own, without a shared journal.
    let own = Home::new(EMPTY);
    let engine = own.engine().await;
    own.client().ask(&Ask::Note { text: "before".into() }).await.unwrap();
    let chain = eventually("it is known", async || own.client().verify().await.ok().filter(|it| it.records > 0)).await;
    drop(engine);
    let config = fs::read_to_string(pair.homes[0].dir().join("config.toml")).unwrap();
    fs::write(own.dir().join("config.toml"), config).unwrap();
    own.says("journal copy own shared").await.is(0, &["copied"]);
    let whole = opened(&store.lab, "moved/", tempfile::tempdir().unwrap().path()).await.unwrap();
    assert!(Journal::tail(&whole).await.unwrap().records >= chain.records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_what_keeps_records_from_being_taken_away() {
    let store = InBucket { lab: lab().await, prefix: "checked/".into() };
    let home = Home::new(&format!("journal = {{ {} }}\n{EMPTY}", store.toml()));
    let said = home.says("check --connect").await;
    assert!(said.out.contains("gennet-journal is versioned") && said.out.contains("has Object Lock"), "{said:?}");
    store.lab.world.truth().faults.set(&format!("s3@{STANDBY}"), Condition::Denied);
    let said = home.says("check --connect").await;
    assert!(said.code == Some(9) && said.out.contains("s3://gennet-journal/checked/"), "{said:?}");
}

#[test]
fn a_bucket_is_named_in_full() {
    let read = |text: &str| config::parse(&format!("{text}\n{EMPTY}"), Path::new("config.toml"), &kinds());
    let Kept::Bucket(params) =
        read("journal = { s3 = { bucket = \"b\", region = \"eu-west-1\" } }").unwrap().journal.kept
    else {
        panic!("another place");
    };
    assert_eq!((params.opt_text("prefix"), params.opt_text("region")), (Some("mayday/"), Some("eu-west-1")));
    for (text, words) in [
        ("journal = { s3 = { bucket = \"b\" } }", "needs `region`"),
        ("journal = { s3 = { bucket = \"b\", region = \"r\" }, sqlite = { path = \"/j.db\" } }", "more than one place"),
        ("journal = { s3 = { bucket = \"b\", region = \"r\", secret_access_key = \"abc\" } }", "secret_access_key"),
    ] {
        let said = read(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert!(format!("{said:?}").contains(words), "{text}: {said:?}");
    }
    assert!(S3.iter().any(|row| row.name == "profile"));
}
