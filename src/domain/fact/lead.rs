//! Who leads and who follows, where several engines share a journal: as one of them sees it, for people to see.

use serde::{Deserialize, Serialize};

use crate::domain::time::At;

/// So long an engine may be silent before it counts as gone, in seconds.
pub const SILENT: f64 = 5.0;

/// The engines that share a journal, as one of them knows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Engines {
    /// What this one is called.
    pub me: String,
    /// Whether this one leads.
    pub leads: bool,
    /// Who leads, or led last.
    pub leader: Option<Leader>,
    pub all: Vec<Engine>,
    /// So many are meant to run.
    pub wanted: u64,
    /// Why the store does not answer, while it does not: what else stands here is as it was last known.
    pub fault: Option<String>,
    /// Why this one follows no longer, and takes no lead.
    pub stopped: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Leader {
    pub name: String,
    pub version: String,
    /// By the store's clock.
    pub since: At,
    pub term: u64,
    /// It was heard of within its lease.
    pub lives: bool,
}

/// One engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Engine {
    pub name: String,
    pub version: String,
    pub leads: bool,
    /// Records that it has yet to read.
    pub behind: u64,
    /// For how many seconds it was not heard of; `None` while it is.
    pub silent: Option<u64>,
}

impl Engines {
    /// How many are there now.
    pub fn present(&self) -> u64 {
        self.all.iter().filter(|engine| engine.silent.is_none()).count() as u64
    }

    /// The engine that leads, and is there.
    pub fn living_leader(&self) -> Option<&Leader> {
        self.leader.as_ref().filter(|leader| leader.lives && self.fault.is_none())
    }

    /// This engine's part in a few words.
    pub fn words(&self) -> String {
        match (&self.stopped, &self.fault, self.leads, self.living_leader()) {
            (Some(_), ..) => "follows no longer".into(),
            (None, Some(_), true, _) => "leads, and the journal does not answer".into(),
            (None, Some(_), false, _) => "the journal does not answer; nobody is led from here".into(),
            (None, None, true, _) => format!("leads as {}", self.me),
            (None, None, false, Some(leader)) => format!("follows {}", leader.name),
            (None, None, false, None) => "nobody leads".into(),
        }
    }

    /// The same as short as it can be: what heads every screen.
    pub fn badge(&self) -> String {
        match (&self.stopped, &self.fault, self.leads, self.living_leader()) {
            (Some(_), ..) => "FOLLOWS NO LONGER".into(),
            (None, Some(_), ..) => "JOURNAL OUT OF REACH".into(),
            (None, None, true, _) if self.present() < self.wanted => {
                format!("leads, {} of {} engines", self.present(), self.wanted)
            }
            (None, None, true, _) => "leads".into(),
            (None, None, false, Some(leader)) => format!("follows {}", leader.name),
            (None, None, false, None) => "NOBODY LEADS".into(),
        }
    }

    /// What is wrong, for whoever asks how things stand; `None` if nothing is.
    pub fn trouble(&self) -> Option<String> {
        if let Some(why) = &self.stopped {
            return Some(format!("this engine follows no longer: {why}"));
        }
        if let Some(fault) = &self.fault {
            return Some(format!(
                "the shared journal cannot be reached from here: {fault}; what is shown is as it was"
            ));
        }
        if !self.leads && self.living_leader().is_none() {
            return Some("no engine leads: nothing is done by itself until one does".into());
        }
        let present = self.present();
        (present < self.wanted).then(|| format!("{present} of {} engines are there", self.wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engines(leads: bool, lives: bool, silent: Option<u64>) -> Engines {
        let leader = Leader { name: "b1".into(), version: "1".into(), since: At::UNIX_EPOCH, term: 3, lives };
        let engine =
            |name: &str, silent| Engine { name: name.into(), version: "1".into(), leads: false, behind: 0, silent };
        let all = vec![engine("b1", silent), engine("b2", None)];
        Engines { me: "b2".into(), leads, leader: Some(leader), all, wanted: 2, fault: None, stopped: None }
    }

    #[test]
    fn what_is_wrong_is_said_and_unknown_is_not_well() {
        let rows: [(&str, Engines, &str, Option<&str>); 6] = [
            ("all is well", engines(false, true, None), "follows b1", None),
            ("it leads", engines(true, true, None), "leads as b2", None),
            ("one is gone", engines(true, true, Some(60)), "leads as b2", Some("1 of 2 engines are there")),
            ("nobody leads", engines(false, false, None), "nobody leads", Some("no engine leads")),
            (
                "the store is gone",
                Engines { fault: Some("refused".into()), ..engines(false, true, None) },
                "the journal does not answer; nobody is led from here",
                Some("cannot be reached from here: refused"),
            ),
            (
                "it is too old",
                Engines { stopped: Some("record 9".into()), ..engines(false, true, None) },
                "follows no longer",
                Some("follows no longer: record 9"),
            ),
        ];
        for (what, engines, words, trouble) in rows {
            assert_eq!(engines.words(), words, "{what}");
            match (engines.trouble(), trouble) {
                (Some(said), Some(wanted)) => assert!(said.contains(wanted), "{what}: {said}"),
                (said, wanted) => assert_eq!(said.as_deref(), wanted, "{what}"),
            }
        }
    }
}
