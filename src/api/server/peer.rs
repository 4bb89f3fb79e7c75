//! Who is at the other end of a connection: what the kernel vouches for, and what this host knows of that user.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::api::user::account;
use crate::domain::actor::Actor;

/// How long the user database may take: it may be on the other side of a network that burns.
const LOOKUP: Duration = Duration::from_secs(2);
/// So many look-ups may hang at once; with more, users go without a name.
const HANGING: usize = 4;
/// For how long a name that was found is good.
const FRESH: Duration = Duration::from_secs(600);
/// The kernel's word for "nobody has logged in": `AUDIT_UID_UNSET` in include/linux/audit.h.
const UNSET: u32 = u32::MAX;

/// Somebody at a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Who logged in, whatever user they have become.
    pub login: Option<u32>,
    /// What the user database calls them; `None`: nobody of that number is known.
    pub name: Option<String>,
}

impl Peer {
    pub async fn of(stream: &UnixStream) -> Self {
        let Ok(known) = stream.peer_cred() else { return Self::default() };
        let (uid, accepted) = (known.uid(), uptime());
        let login = known.pid().and_then(|pid| login(pid, uid, accepted));
        Self { uid: Some(uid), gid: Some(known.gid()), login, name: name(uid).await }
    }

    pub fn actor(&self) -> Actor {
        let uid = self.uid.unwrap_or(u32::MAX);
        let name = self.name.clone().unwrap_or_else(|| format!("uid {uid}"));
        Actor { login: self.login, nameless: self.name.is_none(), ..Actor::named(name, Some(uid)) }
    }
}

/// What the user database calls a user; `None` also while it does not answer.
async fn name(uid: u32) -> Option<String> {
    static KNOWN: Mutex<BTreeMap<u32, (Instant, String)>> = Mutex::new(BTreeMap::new());
    let held = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((since, name)) = held().get(&uid)
        && since.elapsed() < FRESH
    {
        return Some(name.clone());
    }
    let found = looked_up(move || account(uid)).await.flatten();
    match &found {
        Some(name) => drop(held().insert(uid, (Instant::now(), name.clone()))),
        None => drop(held().remove(&uid)),
    }
    found
}

/// What the user database answers, which may be a network away and hang: nobody waits for it for long, and only so many may.
pub(super) async fn looked_up<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    static ROOM: Semaphore = Semaphore::const_new(HANGING);
    let room = ROOM.try_acquire().ok()?;
    let asked = spawn_blocking(move || {
        // Given back when the database has answered, and not before.
        let _room = room;
        ask()
    });
    timeout(LOOKUP, asked).await.ok()?.ok()
}

/// Who logged in to the session of a process, if the kernel keeps that and the process is still the one that connected: its user is, it
/// was there when the connection was accepted, and it did not change while it was looked at.
fn login(pid: i32, uid: u32, accepted: Option<u64>) -> Option<u32> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let begun = began(&read("stat")?)?;
    let (status, login) = (read("status")?, read("loginuid")?);
    let same = began(&read("stat")?)? == begun && begun <= accepted?;
    (same && effective_uid(&status)? == uid).then(|| logged_in(&login)).flatten()
}

/// `/proc/PID/loginuid`: proc(5).
fn logged_in(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|login| *login != UNSET)
}

/// The effective user in `/proc/PID/status`, which SO_PEERCRED tells: the second number after `Uid:`.
fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// When a process began, in hundredths of a second since the host did: the 22nd field of `/proc/PID/stat`. The second one, the name in
/// parentheses, may hold whatever its owner likes.
fn began(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// For how long the host is up, in hundredths of a second.
fn uptime() -> Option<u64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, rest) = text.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 100 + rest.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_of_a_process_is_read_as_the_kernel_writes_it() {
        assert_eq!(logged_in("1000"), Some(1000));
        assert_eq!(logged_in("4294967295\n"), None, "nobody has logged in");
        assert_eq!(logged_in(""), None);
        assert_eq!(effective_uid("Name:\tx\nUid:\t1000\t1001\t1000\t1000\nGid:\t1\t1\t1\t1\n"), Some(1001));
        assert_eq!(effective_uid("Uid:\tx"), None);
        let stat = "42 (a) b) R 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 1";
        assert_eq!(began(stat), Some(98765), "a name with parentheses");
        assert_eq!(began("42 (x"), None);
    }

    #[test]
    fn another_process_of_the_same_number_tells_nothing() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let (uid, now) = (rustix::process::geteuid().as_raw(), uptime());
        let own = fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| logged_in(&text));
        assert!(now.is_some());
        assert_eq!(login(pid, uid, now), own);
        assert_eq!(login(pid, uid + 1, now), None, "of another user");
        assert_eq!(login(pid, uid, Some(0)), None, "it began after the connection");
        assert_eq!(login(pid, uid, None), None);
    }

    #[tokio::test]
    async fn a_number_without_an_account_has_no_name_and_is_nobody() {
        let root = Peer { uid: Some(0), name: name(0).await, ..Peer::default() };
        assert_eq!((root.actor().name.as_str(), root.actor().nameless), ("root", false));
        let nobody = Peer { uid: Some(3_999_999_999), name: name(3_999_999_999).await, ..Peer::default() };
        assert_eq!(nobody.actor().name, "uid 3999999999");
        assert!(nobody.actor().nameless);
    }
}
