//! Processes as `/proc` shows them: which one it is, whether it still lives, and all that it has started.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::domain::process::{Fate, Process};

/// Rounds of looking for what is left, at most. One that was told to end starts nothing any more, so a few are enough; this is for one
/// whose children are born faster than they are found.
const ROUNDS: usize = 1000;

/// The variable that all have who were started under a keeper: it names the keeper, so that they are found when that is gone, whatever
/// session they went to. Who clears its environment on purpose is not found.
pub const MARK: &str = "MAYDAY_KEPT_BY";

/// A line of `/proc/PID/stat`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    started: u64,
    /// It has ended, and only waits for its parent to hear of it.
    ended: bool,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name is in brackets, and may hold anything: brackets and blanks, too.
        let (pid, rest) = line.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
        // The state is the third field of the line, and the first after the name.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |of: usize| field(of)?.parse().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: number(4)?,
            group: number(5)?,
            session: number(6)?,
            started: field(22)?.parse().ok()?,
            ended: matches!(field(3)?, "Z" | "X"),
        })
    }

    fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Every process that can be seen.
    fn all() -> Vec<Self> {
        let names = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of).collect()
    }
}

/// This host and its boot; `None` where the system does not tell.
fn here() -> Option<(String, String)> {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    Some((read("hostname")?, read("random/boot_id")?))
}

/// By what this process can be known again; `None` when it is gone, or the system does not tell.
pub fn identity(pid: i32) -> Option<Process> {
    let (host, boot) = here()?;
    Some(Process { host, boot, pid, started: Stat::of(pid)?.started })
}

/// What [`MARK`] says of those that the process `pid` keeps; `None` when that is gone.
pub fn mark(pid: i32) -> Option<String> {
    Some(mark_of(pid, Stat::of(pid)?.started))
}

fn mark_of(pid: i32, started: u64) -> String {
    format!("{pid}.{started}")
}

/// Whether a process bears the mark. Another user's environment cannot be read: of such a process it is not known.
fn bears(pid: i32, mark: &str) -> bool {
    let entry = format!("{MARK}={mark}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|all| all.split(|byte| *byte == 0).any(|it| it == entry.as_bytes()))
}

/// What became of a process that was known by `identity`.
pub fn fate(process: &Process) -> Fate {
    let Some((_, boot)) = here().filter(|(host, _)| *host == process.host) else { return Fate::Unknown };
    if boot != process.boot {
        return Fate::Ended;
    }
    let stat = Stat::of(process.pid);
    // While anybody is of its group or its session, its number is not given again.
    let is_reused = stat.is_some_and(|stat| stat.started != process.started);
    if !is_reused && stat.is_some_and(|stat| !stat.ended) {
        return Fate::Lives;
    }
    let mark = mark_of(process.pid, process.started);
    let is_left = |it: &Stat| !it.ended && (!is_reused && is_of(it, process.pid) || bears(it.pid, &mark));
    if Stat::all().iter().any(is_left) { Fate::Left } else { Fate::Ended }
}

fn is_of(stat: &Stat, leader: i32) -> bool {
    stat.pid != leader && (stat.group == leader || stat.session == leader)
}

/// All that `root` has started, and what that has started, without `root`.
fn descendants(root: i32) -> Vec<Stat> {
    let all = Stat::all();
    let (mut found, mut known) = (Vec::new(), BTreeSet::from([root]));
    loop {
        let new = |it: &&Stat| !known.contains(&it.pid) && (known.contains(&it.parent) || is_of(it, root));
        let more: Vec<Stat> = all.iter().filter(new).copied().collect();
        if more.is_empty() {
            return found;
        }
        known.extend(more.iter().map(|it| it.pid));
        found.extend(more);
    }
}

/// A process that was started here, with all that it starts.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    root: i32,
    started: u64,
}

impl Tree {
    /// `None` when that process is gone.
    pub fn of(root: i32) -> Option<Self> {
        Some(Self { root, started: Stat::of(root)?.started })
    }

    /// Ends all that the root has started, whatever group or session it went to, and the root last: where the root takes in the orphans
    /// of its descendants, nothing escapes. It does not wait for them: what was told to end starts nothing any more.
    pub fn end(self) {
        let mut told = BTreeSet::new();
        for _ in 0..ROUNDS {
            // Another process has the number: nothing can be left that has it for its group or its session.
            if Stat::of(self.root).is_some_and(|stat| stat.started != self.started) {
                return;
            }
            let new = |it: &Stat| !it.ended && !told.contains(&(it.pid, it.started));
            let fresh: Vec<Stat> = descendants(self.root).into_iter().filter(new).collect();
            if fresh.is_empty() {
                break;
            }
            for it in fresh {
                kill(it.pid, it.started);
                told.insert((it.pid, it.started));
            }
        }
        kill(self.root, self.started);
    }
}

/// Ends one process, and no other that got its number since.
fn kill(pid: i32, started: u64) {
    // It is gone already if it cannot be opened.
    let Some(Ok(held)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return };
    if Stat::of(pid).is_some_and(|stat| stat.started == started) {
        // Where that fails it has ended meanwhile.
        let _ = pidfd_send_signal(held, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    #[test]
    fn a_name_of_brackets_and_blanks_hides_nothing() {
        let line = "4711 (a) b (c) S 7 8 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 123456 1000 1 2";
        let stat = Stat { pid: 4711, parent: 7, group: 8, session: 9, started: 123_456, ended: false };
        assert_eq!(Stat::parse(line), Some(stat));
        assert!(Stat::parse(&line.replace(") S ", ") Z ")).unwrap().ended);
        assert_eq!(Stat::parse("4711 (cut"), None);
    }

    /// A shell that prints a line when it has done what it is told.
    fn shell(script: &str) -> (Child, String) {
        let mut child =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (child, line.trim().to_owned())
    }

    fn pid(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    #[test]
    fn a_process_is_known_again_and_no_other_for_it() {
        let (mut child, _) = shell("echo; read end");
        let known = identity(pid(&child)).unwrap();
        assert_eq!(fate(&known), Fate::Lives);
        assert_eq!(fate(&Process { started: known.started + 1, ..known.clone() }), Fate::Ended);
        assert_eq!(fate(&Process { boot: "another".into(), ..known.clone() }), Fate::Ended);
        assert_eq!(fate(&Process { host: "another".into(), ..known.clone() }), Fate::Unknown);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((fate(&known), identity(known.pid)), (Fate::Ended, None));
    }

    #[test]
    fn what_outlives_its_keeper_in_a_session_of_its_own_is_found_by_its_mark() {
        let bears = format!("export {MARK}=$$.$(cut -d' ' -f22 /proc/$$/stat); setsid sleep 300 & echo $!; read end");
        let (mut child, escaped) = shell(&bears);
        let known = identity(pid(&child)).unwrap();
        let escaped: i32 = escaped.parse().unwrap();
        // It may still be on its way to its session.
        while Stat::of(escaped).unwrap().session != escaped {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(fate(&known), Fate::Left);
        kill(escaped, Stat::of(escaped).unwrap().started);
        while Stat::of(escaped).is_some_and(|stat| !stat.ended) {
            std::thread::yield_now();
        }
        assert_eq!(fate(&known), Fate::Ended);
    }

    #[test]
    fn what_went_to_a_session_of_its_own_is_ended_too() {
        let (mut child, escaped) = shell("setsid sleep 300 & echo $!; read end");
        Tree::of(pid(&child)).unwrap().end();
        child.wait().unwrap();
        let escaped: i32 = escaped.parse().unwrap();
        // Its signal was sent; whoever takes it in may not have heard of it yet.
        while Stat::of(escaped).is_some_and(|stat| !stat.ended) {
            std::thread::yield_now();
        }
    }
}
