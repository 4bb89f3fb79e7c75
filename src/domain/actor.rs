//! Who acts, and from where.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::SessionId;

/// A person, as the socket's peer credentials vouch for them, or the engine itself (no user id).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Actor {
    pub name: String,
    pub uid: Option<u32>,
    /// Who logged in, whatever user they became after that (`/proc/PID/loginuid`); `None` where the kernel keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<u32>,
    /// No account of this host has the user id, or it could not be looked up: nobody knows who that is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nameless: bool,
}

/// For a record that has nothing to say of it.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

/// Why somebody is not one of two people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nobody {
    Engine,
    /// Whoever may become root: one of the two themselves, for instance.
    Root,
    /// A user id without an account.
    Nameless,
}

impl Actor {
    pub fn engine() -> Self {
        Self::named("mayday", None)
    }
    /// Somebody with an account, of whose login nothing is known.
    pub fn named(name: impl Into<String>, uid: Option<u32>) -> Self {
        Self { name: name.into(), uid, ..Self::default() }
    }
    /// Whether both are one person: names can be chosen, user ids cannot, and who became another user has logged in once.
    pub fn is_same_person(&self, other: &Actor) -> bool {
        self.uid == other.uid || (self.login.is_some() && self.login == other.login)
    }
    /// Whether this is a particular person, so that two of them are two people.
    ///
    /// # Errors
    /// Why not.
    pub fn is_somebody(&self) -> Result<(), Nobody> {
        match self.uid {
            None => Err(Nobody::Engine),
            Some(0) => Err(Nobody::Root),
            // `nobody`, by which the kernel shows also whoever it cannot name here: user_namespaces(7), overflowuid.
            Some(65_534) => Err(Nobody::Nameless),
            Some(_) if self.nameless => Err(Nobody::Nameless),
            Some(_) => Ok(()),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Where a command came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Origin {
    /// An attached cockpit: it has to be armed before it may change anything.
    Cockpit { session: SessionId, read_only: bool },
    /// One explicit command line: armed by being typed.
    CommandLine,
    /// The engine's own doing: outcomes of effects, probes, retries.
    Engine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_of_an_old_journal_is_read_and_a_plain_one_is_written_as_ever() {
        let old = r#"{"name":"ann","uid":1000}"#;
        let ann: Actor = serde_json::from_str(old).unwrap();
        assert_eq!(ann, Actor::named("ann", Some(1000)));
        assert_eq!(serde_json::to_string(&ann).unwrap(), old);
        let su = Actor { login: Some(1000), ..Actor::named("deploy", Some(1001)) };
        assert_eq!(serde_json::from_str::<Actor>(&serde_json::to_string(&su).unwrap()).unwrap(), su);
    }

    #[test]
    fn root_the_engine_and_an_unknown_number_are_nobody_in_particular() {
        assert_eq!(Actor::named("root", Some(0)).is_somebody(), Err(Nobody::Root));
        assert_eq!(Actor::engine().is_somebody(), Err(Nobody::Engine));
        let unknown = Actor { nameless: true, ..Actor::named("uid 4242", Some(4242)) };
        assert_eq!(unknown.is_somebody(), Err(Nobody::Nameless));
        assert_eq!(Actor::named("nobody", Some(65_534)).is_somebody(), Err(Nobody::Nameless));
        assert_eq!(Actor::named("ann", Some(1000)).is_somebody(), Ok(()));
    }

    #[test]
    fn whoever_became_another_user_is_the_same_person() {
        let ann = Actor { login: Some(1000), ..Actor::named("ann", Some(1000)) };
        let su = Actor { login: Some(1000), ..Actor::named("deploy", Some(1001)) };
        let bob = Actor { login: Some(1002), ..Actor::named("deploy", Some(1001)) };
        assert!(ann.is_same_person(&su) && !ann.is_same_person(&bob));
        assert!(!Actor::named("a", Some(1)).is_same_person(&Actor::named("b", Some(2))), "no login is no evidence");
    }
}
