//! One exchange with a server as a careful client makes it, and all that a probe wants to know of it: every address of a name tried as
//! browsers do ([`dial`]), a proxy on the way where one is named ([`proxy`]), TLS with the chain that was shown ([`tls`]), HTTP/1.1 or HTTP/2
//! ([`talk`]), a body read as far as it is needed ([`body`]).
//!
//! `reqwest` serves the ways out that only want an answer ([`super::http`]). It tries addresses one after another, keeps the server's chain
//! to itself and calls each silence by the same name; a probe has to tell a dead server from one that lets nobody in, and from a
//! host that cannot ask.

pub mod body;
pub mod dial;
pub mod proxy;
pub mod talk;
pub mod tls;

use std::error::Error;
use std::io;

use crate::domain::health::Reading;

/// What the words begin with when this host itself could not ask: of the target nothing is known then.
pub const UNASKED: &str = "nobody could be asked: ";

/// Why there is no answer, and what that says of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// This host could not ask: of the other side nothing is known.
    Unasked(String),
    /// The other side is there, and would not or could not talk to Mayday: what it tells clients is not known.
    Refused(String),
    /// It was asked, and a client would have got nothing.
    Dead(String),
}

impl Silence {
    pub fn unasked(why: impl std::fmt::Display) -> Self {
        Self::Unasked(why.to_string())
    }

    /// Whether it says nothing of what clients get.
    pub fn is_unknown(&self) -> bool {
        !matches!(self, Self::Dead(_))
    }

    /// Why, and not what that says of the other side.
    pub fn bare(&self) -> &str {
        match self {
            Self::Unasked(why) | Self::Refused(why) | Self::Dead(why) => why,
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Unasked(why) => format!("{UNASKED}{why}"),
            Self::Refused(why) => format!("Mayday is refused: {why}"),
            Self::Dead(why) => why.clone(),
        }
    }

    pub fn reading(&self) -> Reading {
        if self.is_unknown() { Reading::unknown(self.words()) } else { Reading::down(self.words()) }
    }
}

/// An error and what caused it, the outermost first. An [`io::Error`] hides what it was made of: it is looked into.
pub fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside as &'e (dyn Error + 'static)),
            None => error.source(),
        }
    })
}
