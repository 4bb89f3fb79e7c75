//! A step that can be done in several ways to the same effect: the first one that answers is taken, and what that is, and why, stands on
//! the gate's card. What was taken is kept with the step, so that the same way is verified and taken back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{FuturesOrdered, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use crate::domain::plan::WayName;
use crate::domain::system::{
    Begun, Checked, Fault, FaultClass, Fitness, Guard, GuardVerdict, Observed, Preview, Receipt, Step, StepLog,
    Verified,
};
use crate::domain::time::At;

/// How long one way may take to say how it stands: the next one is asked beside it.
const LOOK: Duration = Duration::from_secs(8);
/// How long the ways that are not taken may take to say how it was before: they are kept for when the first one fails.
const SPARE: Duration = Duration::from_millis(1500);

/// The receipt's words for the way that was taken, and for how it was before where only the change itself learnt that.
const WAY: &str = "way";
const BEFORE: &str = "before";
/// Ways that were tried and did not answer: whether they changed anything is looked at when the step is taken back.
const TRIED: &str = "tried";

/// One way, or why it cannot be one.
pub(super) struct Way {
    pub name: WayName,
    pub step: Result<Arc<dyn Step>, Fault>,
}

pub(super) struct Ways {
    pub system: String,
    /// The preferred one first; never empty.
    pub ways: Vec<Way>,
}

/// How it was before, by way, and which was to be taken.
#[derive(Serialize, Deserialize)]
struct Before {
    way: WayName,
    images: BTreeMap<WayName, Value>,
}

impl Before {
    fn of(pre_image: &Value) -> Option<Self> {
        serde_json::from_value(pre_image.clone()).ok()
    }
}

/// Why a way was not gone.
enum NotBy {
    /// It did not work.
    This(Fault),
    /// Nothing may be changed by any way now.
    Any(Fault),
}

/// The way that answered first, and what was said of those before it.
struct Taken<'w> {
    name: WayName,
    step: &'w Arc<dyn Step>,
    observed: Observed,
    passed: Vec<String>,
}

impl Ways {
    fn step(&self, name: WayName) -> Result<&Arc<dyn Step>, Fault> {
        let way = self.ways.iter().find(|way| way.name == name);
        let gone = || Fault::permanent(&self.system, format!("the plan has no way `{name}` any more"));
        way.ok_or_else(gone)?.step.as_ref().map_err(Clone::clone)
    }

    /// The first way that answers, in their order, `first` before all others. All are asked at once.
    async fn take(&self, first: Option<WayName>, begun: Option<&Begun>) -> Result<Taken<'_>, Fault> {
        let mut order: Vec<&Way> = self.ways.iter().collect();
        order.sort_by_key(|way| Some(way.name) != first);
        let looks = order.into_iter().map(|way| async move {
            let step = way.step.as_ref().map_err(Clone::clone);
            let seen = match step {
                Ok(step) => timeout(LOOK, step.observe(begun)).await.unwrap_or_else(|_| Err(self.late())),
                Err(fault) => Err(fault),
            };
            let idle = match (&seen, &way.step) {
                (Ok(Observed::Done { .. }), Ok(step)) if begun.is_none() => self.moves_nobody(step).await,
                _ => None,
            };
            (way, seen, idle)
        });
        let (mut looks, mut passed, mut last, mut spare) =
            (looks.collect::<FuturesOrdered<_>>(), Vec::new(), None, None);
        while let Some((way, seen, idle)) = looks.next().await {
            let why = match (seen, &way.step) {
                (Ok(Observed::Impossible { why }), _) => {
                    last = Some(Fault::permanent(&self.system, why.clone()));
                    why
                }
                (Ok(observed), Ok(step)) => {
                    let taken = Taken { name: way.name, step, observed, passed: passed.clone() };
                    match idle {
                        None => return Ok(taken),
                        Some(why) => {
                            spare = spare.or(Some(taken));
                            why
                        }
                    }
                }
                (Ok(other), Err(_)) => other.words().to_owned(),
                (Err(fault), _) => {
                    let what = fault.what.clone();
                    last = Some(fault);
                    what
                }
            };
            passed.push(format!("{}: {why}", way.name));
        }
        if let Some(spare) = spare {
            return Ok(spare);
        }
        let last = last.unwrap_or_else(|| self.late());
        Err(Fault { what: format!("no way to move clients answers ({})", passed.join("; ")), ..last })
    }

    /// A way that is as it should be while clients are elsewhere was overruled by another one, and would do nothing now.
    async fn moves_nobody(&self, step: &Arc<dyn Step>) -> Option<String> {
        let nothing = Begun { at: At::UNIX_EPOCH, pre_image: Value::Null, receipt: Receipt::new(), process: None };
        match timeout(LOOK, step.verify(&nothing, &Silent)).await {
            Ok(Ok(Verified::Holds { .. } | Verified::HoldsForNow { .. })) => None,
            Ok(Ok(Verified::Pending { detail } | Verified::Broken { why: detail })) => {
                Some(format!("it is so already, and clients are elsewhere ({detail})"))
            }
            // What could not be seen says nothing against it.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    fn late(&self) -> Fault {
        Fault::transient(&self.system, format!("no answer within {} s", LOOK.as_secs()))
    }

    /// The way that this step was begun by, as the journal has it.
    fn begun_by(begun: &Begun) -> Option<WayName> {
        let told = begun.receipt.get(WAY).and_then(|way| way.parse().ok());
        told.or_else(|| Before::of(&begun.pre_image).map(|before| before.way))
    }

    /// What the journal holds of the step, as its way knows it.
    fn own(begun: &Begun, name: WayName) -> Begun {
        let kept = || Before::of(&begun.pre_image)?.images.remove(&name);
        let learnt = || serde_json::from_str(begun.receipt.get(BEFORE)?).ok();
        Begun { pre_image: kept().or_else(learnt).unwrap_or_default(), ..begun.clone() }
    }

    /// Whether it was applied by a way, and by which.
    fn applied_by(begun: &Begun) -> Option<WayName> {
        begun.receipt.get(WAY).and_then(|way| way.parse().ok())
    }

    fn told(&self, taken: &Taken<'_>) -> Guard {
        let rest: Vec<&str> =
            self.ways.iter().filter(|way| way.name != taken.name).map(|way| way.name.word()).collect();
        match taken.passed.is_empty() {
            true => Guard::pass(WAY, format!("by {}; if it fails: {}", taken.name, rest.join(", "))),
            false => Guard::warn(WAY, format!("by {}, because of {}", taken.name, taken.passed.join("; "))),
        }
    }

    /// Makes the change by one way. One that is not the first is journalled before it is gone, with how it was there before where nobody
    /// knew that yet: an engine that dies in the middle of it leaves to the next one what can be taken back.
    async fn apply_by(
        &self,
        name: WayName,
        kept: Option<Value>,
        tried: &[&str],
        log: &dyn StepLog,
    ) -> Result<Receipt, NotBy> {
        let step = self.step(name).map_err(NotBy::This)?;
        let mut receipt = Receipt::from([(WAY.to_owned(), name.to_string())]);
        if !tried.is_empty() {
            receipt.insert(TRIED.to_owned(), tried.join(" "));
        }
        let known = kept.is_some();
        let image = match kept {
            Some(image) => image,
            None => {
                let preview = timeout(LOOK, step.preview()).await.unwrap_or_else(|_| Err(self.late()));
                let image = preview.map_err(NotBy::This)?.pre_image;
                receipt.insert(BEFORE.to_owned(), image.to_string());
                image
            }
        };
        if !known || !tried.is_empty() {
            log.goes_by(&receipt).await.map_err(NotBy::Any)?;
        }
        receipt.extend(step.apply(&image, log).await.map_err(NotBy::This)?);
        Ok(receipt)
    }
}

#[async_trait]
impl Step for Ways {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        if let Some((begun, name)) = begun.and_then(|begun| Some((begun, Self::applied_by(begun)?))) {
            return self.step(name)?.observe(Some(&Self::own(begun, name))).await;
        }
        let taken = self.take(begun.and_then(Self::begun_by), begun).await?;
        let by = |detail: String| format!("{detail} (by {})", taken.name);
        Ok(match taken.observed {
            Observed::Done { detail } => Observed::Done { detail: by(detail) },
            other => other,
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let taken = self.take(None, None).await?;
        let spare = self.ways.iter().filter(|way| way.name != taken.name);
        let spare = spare.filter_map(|way| Some((way.name, way.step.as_ref().ok()?)));
        let spare = spare.map(|(name, step)| async move {
            let preview = timeout(SPARE, step.preview()).await.ok()?.ok()?;
            Some((name, preview.pre_image))
        });
        let (own, spare) = tokio::join!(taken.step.preview(), futures::future::join_all(spare));
        let own = own?;
        let mut images: BTreeMap<WayName, Value> = spare.into_iter().flatten().collect();
        images.insert(taken.name, own.pre_image);
        let before = Before { way: taken.name, images };
        let pre_image =
            serde_json::to_value(&before).map_err(|error| Fault::permanent(&self.system, error.to_string()))?;
        Ok(Preview { summary: format!("by {}: {}", taken.name, own.summary), diff: own.diff, pre_image })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let taken = self.take(None, None).await?;
        let mut checked = taken.step.check().await?;
        checked.guards.insert(0, self.told(&taken));
        Ok(checked)
    }

    /// A way that did not answer, and certainly changed nothing, gives way to the next one.
    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let mut before = Before::of(pre_image);
        let first = before.as_ref().map(|before| before.way);
        let mut order: Vec<WayName> = self.ways.iter().map(|way| way.name).collect();
        order.sort_by_key(|name| Some(*name) != first);
        let (mut tried, mut last) = (Vec::new(), None);
        for name in order {
            let kept = before.as_mut().and_then(|before| before.images.remove(&name));
            match self.apply_by(name, kept, &tried, log).await {
                Ok(receipt) => return Ok(receipt),
                Err(NotBy::Any(fault)) => return Err(fault),
                // Who refuses has answered, and may have a reason: going round it is for a person to decide.
                Err(NotBy::This(fault)) if fault.class != FaultClass::Transient => return Err(fault),
                Err(NotBy::This(fault)) => {
                    log.line(&format!("not by {name}: {}", fault.what));
                    tried.push(name.word());
                    last = Some(fault);
                }
            }
        }
        Err(last.unwrap_or_else(|| self.late()))
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        if let Some(name) = Self::applied_by(begun) {
            return self.step(name)?.verify(&Self::own(begun, name), log).await;
        }
        let taken = self.take(Self::begun_by(begun), Some(begun)).await?;
        taken.step.verify(&Self::own(begun, taken.name), log).await
    }

    async fn stays(&self) -> Result<Observed, Fault> {
        let ways = self.ways.iter().filter_map(|way| way.step.as_ref().ok());
        let looks =
            ways.map(|step| async move { timeout(LOOK, step.stays()).await.unwrap_or_else(|_| Err(self.late())) });
        let looks = futures::future::join_all(looks).await;
        let (mut unseen, mut not) = (None, None);
        for look in looks {
            match look {
                Ok(done @ Observed::Done { .. }) => return Ok(done),
                Ok(other) => not = not.or(Some(other)),
                Err(fault) => unseen = unseen.or(Some(fault)),
            }
        }
        // What one way does not keep so, another may that nobody could ask.
        match (unseen, not) {
            (Some(fault), _) => Err(fault),
            (None, Some(not)) => Ok(not),
            (None, None) => Err(self.late()),
        }
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let Some(name) = Self::begun_by(begun) else {
            return Err(Fault::permanent(&self.system, "it was so before this run, which changed nothing")
                .means("there is nothing to restore")
                .next("change it by hand if it has to be different"));
        };
        let tried = begun.receipt.get(TRIED).map(String::as_str).unwrap_or_default();
        for name in tried.split(' ').filter_map(|name| name.parse().ok()) {
            let own = Self::own(begun, name);
            if let Ok(Observed::Done { .. }) = self.step(name)?.observe(Some(&own)).await {
                log.line(&format!("{name} was tried, and has done it: it is taken back, too"));
                self.step(name)?.revert(&own, log).await?;
            }
        }
        self.step(name)?.revert(&Self::own(begun, name), log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let mut all = Fitness::default();
        for (nth, way) in self.ways.iter().enumerate() {
            let known = match &way.step {
                Ok(step) => step.fitness().await,
                Err(fault) => Err(fault.clone()),
            };
            let guards = match known {
                Ok(fitness) => fitness.guards,
                Err(fault) if nth == 0 => return Err(fault),
                Err(fault) => vec![Guard::warn("access", fault.what)],
            };
            // A spare way that could not be gone is told, and the first one is there.
            let told = |it: Guard| Guard {
                verdict: if nth > 0 && it.verdict == GuardVerdict::Block { GuardVerdict::Warn } else { it.verdict },
                detail: format!("by {}: {}", way.name, it.detail),
                ..it
            };
            all.guards.extend(guards.into_iter().map(told));
        }
        Ok(all)
    }

    fn by_hand(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (nth, way) in self.ways.iter().enumerate() {
            let when = if nth == 0 { "first" } else { "if that does not answer" };
            lines.push(format!("# {when}: by {}", way.name));
            match &way.step {
                Ok(step) => lines.extend(step.by_hand()),
                Err(fault) => lines.push(format!("# {fault}")),
            }
        }
        lines
    }
}

/// A log that nobody reads: a look outside a run has no place in the log of a step.
pub(super) struct Silent;

impl StepLog for Silent {
    fn line(&self, _text: &str) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::domain::system::FaultClass::{Ambiguous, Permanent, Transient};

    /// A way that does what it is told to.
    struct Stub {
        observed: Result<Observed, Fault>,
        applied: Result<Receipt, Fault>,
        calls: Arc<Mutex<Vec<String>>>,
        name: &'static str,
    }

    impl Stub {
        fn note(&self, what: impl std::fmt::Display) {
            self.calls.lock().unwrap().push(format!("{} {what}", self.name));
        }
    }

    #[async_trait]
    impl Step for Stub {
        async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
            self.observed.clone()
        }
        async fn preview(&self) -> Result<Preview, Fault> {
            let pre_image = json!({ "of": self.name });
            Ok(Preview { summary: "flip it".into(), pre_image, ..Preview::default() })
        }
        async fn check(&self) -> Result<Checked, Fault> {
            Ok(Checked { guards: vec![Guard::pass("own", self.name)], promotion: None })
        }
        async fn apply(&self, pre_image: &Value, _: &dyn StepLog) -> Result<Receipt, Fault> {
            self.note(format!("applied over {}", pre_image["of"]));
            self.applied.clone()
        }
        async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
            if begun.pre_image.is_null() {
                return Ok(Verified::Pending { detail: "name servers say otherwise".into() });
            }
            self.note(format!("verified over {}", begun.pre_image["of"]));
            Ok(Verified::Holds { detail: self.name.into(), recovery_point: None })
        }
        async fn revert(&self, begun: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
            self.note(format!("reverted to {}", begun.pre_image["of"]));
            Ok(Receipt::new())
        }
        fn by_hand(&self) -> Vec<String> {
            vec![self.name.into()]
        }
    }

    type Seen = Result<Observed, Fault>;

    fn no() -> Seen {
        Ok(Observed::NotDone { detail: "not yet".into() })
    }

    fn silent() -> Seen {
        Err(Fault::transient("it", "no answer"))
    }

    fn fails(class: FaultClass) -> Result<Receipt, Fault> {
        Err(Fault::new(class, "it", "no answer"))
    }

    /// The object and the records, in this order, and what was asked of them.
    fn ways(object: (Seen, Result<Receipt, Fault>), records: (Seen, Result<Receipt, Fault>)) -> (Ways, Calls) {
        let calls = Calls::default();
        let way = |name: WayName, (observed, applied): (Seen, Result<Receipt, Fault>)| {
            let step: Arc<dyn Step> = Arc::new(Stub { observed, applied, calls: calls.clone(), name: name.word() });
            Way { name, step: Ok(step) }
        };
        let ways = vec![way(WayName::Object, object), way(WayName::Records, records)];
        (Ways { system: "zone".into(), ways }, calls)
    }

    type Calls = Arc<Mutex<Vec<String>>>;

    fn begun(pre_image: Value, receipt: Receipt) -> Begun {
        Begun { at: At::UNIX_EPOCH, pre_image, receipt, process: None }
    }

    #[tokio::test]
    async fn the_first_way_that_answers_is_taken_and_told() {
        let fine = || Ok(Receipt::new());
        let impossible = || Ok(Observed::Impossible { why: "no check looks at it".into() });
        let rows = [
            ((no(), fine()), "by object: flip it", GuardVerdict::Pass, "if it fails: records"),
            ((silent(), fine()), "by records: flip it", GuardVerdict::Warn, "because of object: no answer"),
            ((impossible(), fine()), "by records: flip it", GuardVerdict::Warn, "object: no check looks at it"),
        ];
        for (object, summary, verdict, words) in rows {
            let (ways, _) = ways(object, (no(), fine()));
            assert_eq!(ways.observe(None).await, no());
            assert_eq!(ways.preview().await.unwrap().summary, summary);
            let guards = ways.check().await.unwrap().guards;
            assert!(guards[0].name == "way" && guards[0].verdict == verdict, "{guards:?}");
            assert!(guards[0].detail.contains(words), "{guards:?}");
        }
        let done = || Ok(Observed::Done { detail: "there".into() });
        let (overruled, _) = ways((done(), fine()), (no(), fine()));
        let guards = overruled.check().await.unwrap().guards;
        assert!(guards[0].detail.contains("by records, because of object: it is so already"), "{guards:?}");
        let (all, _) = ways((done(), fine()), (done(), fine()));
        assert!(matches!(all.observe(None).await.unwrap(), Observed::Done { .. }), "nothing is left to do");
        let (none, _) = ways((silent(), fine()), (silent(), fine()));
        let fault = none.observe(None).await.unwrap_err();
        assert!(fault.class == Transient && fault.what.contains("object: no answer; records: no answer"), "{fault}");
    }

    #[tokio::test]
    async fn what_certainly_did_nothing_gives_way_and_what_may_have_does_not() {
        let (falls, calls) = ways((no(), fails(Transient)), (no(), Ok(Receipt::new())));
        let image = falls.preview().await.unwrap().pre_image;
        let receipt = falls.apply(&image, &Silent).await.unwrap();
        assert_eq!((receipt["way"].as_str(), receipt["tried"].as_str()), ("records", "object"));
        let done = begun(image, receipt);
        falls.verify(&done, &Silent).await.unwrap();
        falls.revert(&done, &Silent).await.unwrap();
        let wanted = [
            "object applied over \"object\"",
            "records applied over \"records\"",
            "records verified over \"records\"",
            "records reverted to \"records\"",
        ];
        assert_eq!(*calls.lock().unwrap(), wanted, "each over what the journal holds of it");

        let (unsure, calls) = ways((no(), fails(Ambiguous)), (no(), Ok(Receipt::new())));
        let image = unsure.preview().await.unwrap().pre_image;
        assert_eq!(unsure.apply(&image, &Silent).await.unwrap_err().class, Ambiguous);
        assert_eq!(calls.lock().unwrap().len(), 1, "nothing is tried beside what may have happened");

        let (refused, calls) = ways((no(), fails(Permanent)), (no(), Ok(Receipt::new())));
        let image = refused.preview().await.unwrap().pre_image;
        assert_eq!(refused.apply(&image, &Silent).await.unwrap_err().class, Permanent);
        assert_eq!(calls.lock().unwrap().len(), 1, "nobody goes round a refusal");
    }

    /// A journal that takes part in what is done, or does not answer.
    struct Ledger(Calls, bool);

    #[async_trait]
    impl StepLog for Ledger {
        fn line(&self, _: &str) {}
        async fn goes_by(&self, receipt: &Receipt) -> Result<(), Fault> {
            self.0.lock().unwrap().push(format!("journalled {receipt:?}"));
            if self.1 { Ok(()) } else { Err(Fault::transient("mayday", "the journal does not answer")) }
        }
    }

    #[tokio::test]
    async fn another_way_is_journalled_with_how_it_was_before_it_is_gone() {
        let (ways, calls) = ways((no(), fails(Transient)), (no(), Ok(Receipt::new())));
        let image = json!({ "way": "object", "images": { "object": { "of": "object" } } });
        ways.apply(&image, &Ledger(calls.clone(), true)).await.unwrap();
        let journalled = r#"journalled {"before": "{\"of\":\"records\"}", "tried": "object", "way": "records"}"#;
        let wanted = ["object applied over \"object\"", journalled, "records applied over \"records\""];
        assert_eq!(*calls.lock().unwrap(), wanted);

        // What the journal holds of an engine that died right after the change.
        let receipt = Receipt::from([
            ("before".to_owned(), r#"{"of":"records"}"#.to_owned()),
            ("way".to_owned(), "records".to_owned()),
        ]);
        calls.lock().unwrap().clear();
        ways.revert(&begun(image.clone(), receipt), &Silent).await.unwrap();
        assert_eq!(*calls.lock().unwrap(), ["records reverted to \"records\""]);

        calls.lock().unwrap().clear();
        let refused = ways.apply(&image, &Ledger(calls.clone(), false)).await.unwrap_err();
        assert!(refused.what.contains("does not answer"), "{refused}");
        let changed = calls.lock().unwrap().iter().any(|call| call.starts_with("records applied"));
        assert!(!changed, "what is not journalled is not changed");
    }

    #[tokio::test]
    async fn a_way_that_was_tried_and_did_it_after_all_is_taken_back_too() {
        let done = || Ok(Observed::Done { detail: "there".into() });
        let (ways, calls) = ways((done(), Ok(Receipt::new())), (done(), Ok(Receipt::new())));
        let image = ways.preview().await.unwrap().pre_image;
        let receipt = Receipt::from([("way".into(), "records".into()), ("tried".into(), "object".into())]);
        ways.revert(&begun(image, receipt), &Silent).await.unwrap();
        assert_eq!(*calls.lock().unwrap(), ["object reverted to \"object\"", "records reverted to \"records\""]);
    }
}
