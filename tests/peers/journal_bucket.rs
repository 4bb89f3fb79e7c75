//! The journal in a bucket of servers that others wrote. MiniStack keeps the contract of every store; moto answers conditions too, but compares
//! and writes in two steps, so that of two writers at once both may win: there one writes after the other.

use std::sync::Arc;

use mayday::domain::journal::{Appended, Journal};
use mayday::domain::objects::{Objects, Stored, When};
use mayday::domain::params::Params;
use mayday::domain::time::At;
use mayday::journal::{Place, SharedJournal};
use mayday::lab::STANDBY;
use mayday::systems::s3::JournalBucket;
use serde_json::json;
use tempfile::TempDir;

use crate::aws_servers::{Bed, MINISTACK, MOTO};
use crate::ledger_contract::{self as contract, lead, note};
use crate::pair::{Blow, Store, play, same};

/// A bucket that the estate of these servers has.
const BUCKET: &str = "gennet-data-dr";

fn objects(bed: &Bed, prefix: &str) -> JournalBucket {
    let given = json!({
        "bucket": BUCKET, "region": STANDBY, "prefix": prefix, "endpoint_url": bed.endpoint,
        "access_key_id": "LABKEY", "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    JournalBucket::new(&serde_json::from_value::<Params>(given).unwrap())
}

async fn journals(bed: &Bed, prefix: &str, count: usize) -> (Vec<TempDir>, Vec<Arc<dyn Journal>>) {
    let (mut dirs, mut all): (Vec<TempDir>, Vec<Arc<dyn Journal>>) = Default::default();
    for _ in 0..count {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::Bucket(Arc::new(objects(bed, prefix)));
        all.push(Arc::new(SharedJournal::open(&place, dir.path()).await.unwrap()));
        dirs.push(dir);
    }
    (dirs, all)
}

/// What all of it rests on.
async fn writes_on_conditions(bed: &Bed) {
    let objects = objects(bed, "conditions/");
    assert_eq!(objects.get("a").await.unwrap(), None);
    assert_eq!(objects.put("a", "x", When::Unchanged("\"abc\"")).await.unwrap(), Stored::Met, "there is none");
    let Stored::Kept(first) = objects.put("a", "one", When::Absent).await.unwrap() else { panic!("not kept") };
    assert_eq!(objects.put("a", "two", When::Absent).await.unwrap(), Stored::Met);
    let Stored::Kept(second) = objects.put("a", "three", When::Unchanged(&first)).await.unwrap() else {
        panic!("not kept")
    };
    assert_eq!(objects.put("a", "four", When::Unchanged(&first)).await.unwrap(), Stored::Met);
    let found = objects.get("a").await.unwrap().unwrap();
    assert_eq!((found.body.as_str(), found.tag.as_str()), ("three", second.as_str()));
    let listed = objects.list("", None, None).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python's packages: .ci/run installs them"]
async fn a_bucket_of_ministack_keeps_the_contract() {
    let bed = Bed::of(MINISTACK).await;
    writes_on_conditions(&bed).await;
    let (_dirs, journals) = journals(&bed, "own/", 3).await;
    let (one, two) = (journals[0].clone(), journals[1].clone());
    contract::appends_for_its_term_and_tail_alone(one.clone(), two.clone()).await;
    contract::leads_one_after_the_other(one.clone(), two.clone()).await;
    contract::one_of_many_wins(&journals).await;
    contract::hands_over_once(one.clone(), two.clone()).await;
    contract::meets(one.clone(), two.clone()).await;
    contract::wakes(one, two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python's packages: .ci/run installs them"]
async fn a_bucket_of_moto_keeps_what_one_after_the_other_writes() {
    let bed = Bed::of(MOTO).await;
    writes_on_conditions(&bed).await;
    let (_dirs, journals) = journals(&bed, "own/", 2).await;
    let (one, two) = (journals[0].clone(), journals[1].clone());
    contract::appends_for_its_term_and_tail_alone(one.clone(), two.clone()).await;
    contract::leads_one_after_the_other(one.clone(), two.clone()).await;
    contract::hands_over_once(one.clone(), two.clone()).await;
    contract::meets(one.clone(), two.clone()).await;
    // More than a page of names.
    let term = lead(&*one, "one").await;
    for _ in 0..20 {
        let tail = one.tail().await.unwrap();
        let batch = (0..60).map(|nth| note(&format!("note {nth}"))).collect();
        assert!(matches!(one.append(term, &tail, At::now(), batch).await, Appended::Durable(_)));
    }
    assert_eq!(two.verify().await.unwrap(), one.tail().await.unwrap());
}

/// Where engines find it.
struct Served(Bed, &'static str);

impl Store for Served {
    fn toml(&self) -> String {
        format!(
            "s3 = {{ bucket = \"{BUCKET}\", region = \"{STANDBY}\", prefix = \"{}\", endpoint_url = \"{}\", access_key_id = \
             \"LABKEY\", secret_access_key = {{ command = [\"printf\", \"labsecret\"] }} }}",
            self.1, self.0.endpoint
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Python's packages: .ci/run installs them"]
async fn a_failover_in_a_bucket_of_ministack_is_ended_by_the_other_engine() {
    let mut store = Served(Bed::of(MINISTACK).await, "calm/");
    let calm = play(&store, Blow::None).await;
    store.1 = "killed/";
    let killed = play(&store, Blow::Crash("after:14")).await;
    assert!(killed.crashed);
    same(&calm, &killed, "killed after append 14");
}
