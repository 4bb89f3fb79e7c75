//! What the API serves: the objects as last published, each with its resource version, and the events that watches are told.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::{Cluster, Kind};

/// How many events are remembered; a watch from before that is told to list again.
const REMEMBERED: usize = 2048;

/// Something that happened to an object.
#[derive(Clone)]
pub struct Event {
    pub version: u64,
    pub kind: Kind,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub what: &'static str,
    pub object: Value,
}

/// All objects of a cluster.
#[derive(Default)]
pub struct View {
    version: u64,
    objects: BTreeMap<(Kind, String), Value>,
    events: VecDeque<Event>,
    /// Events up to this version are forgotten.
    forgotten: u64,
}

impl View {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, kind: Kind, name: &str) -> Option<&Value> {
        self.objects.get(&(kind, name.to_owned()))
    }

    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |((own, _), _)| *own == kind).map(|(_, object)| object)
    }

    /// What happened to objects of `kind` after `version`; `None` if that is no longer known.
    pub fn since(&self, kind: Kind, version: u64) -> Option<Vec<Event>> {
        let news = || self.events.iter().filter(|event| event.kind == kind && event.version > version);
        (!self.is_forgotten(version)).then(|| news().cloned().collect())
    }

    /// Whether it is no longer known what happened after `version`.
    pub fn is_forgotten(&self, version: u64) -> bool {
        version < self.forgotten
    }

    fn publish(&mut self, kind: Kind, name: String, object: Option<Value>) {
        let key = (kind, name);
        let known = self.objects.get(&key);
        let (what, mut object) = match (known, object) {
            (None, Some(object)) => ("ADDED", object),
            (Some(known), Some(mut object)) => {
                object["metadata"]["resourceVersion"] = known["metadata"]["resourceVersion"].clone();
                if *known == object {
                    return;
                }
                ("MODIFIED", object)
            }
            (Some(known), None) => ("DELETED", known.clone()),
            (None, None) => return,
        };
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if what == "DELETED" {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, object.clone());
        }
        if self.events.len() == REMEMBERED
            && let Some(gone) = self.events.pop_front()
        {
            self.forgotten = gone.version;
        }
        self.events.push_back(Event { version: self.version, kind, what, object });
    }
}

impl Cluster {
    /// Shows all that was touched since the last time.
    pub(super) fn publish(&mut self) {
        for (kind, name) in std::mem::take(&mut self.touched) {
            let object = self.object(kind, &name);
            self.view.publish(kind, name, object);
        }
    }
}
