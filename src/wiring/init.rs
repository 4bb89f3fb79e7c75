//! `mayday init`: asks, looks at each answer as it comes, and writes a config that is sound.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::failure::Failure;
use super::{connect, kinds, try_channel, try_connect};
use crate::cli::args::InitArgs;
use crate::cli::exit::Exit;
use crate::cli::init::{self, Answers, Thing, asks_for, how};
use crate::cli::schema::{self, CONFIG_LINE};
use crate::config::{self, Config, Mistakes};
use crate::domain::estate::DataClass;
use crate::domain::health::Status;
use crate::domain::ids::SystemId;
use crate::domain::kinds::{Need, Param, ParamType, StepRole};
use crate::domain::system::{Fault, Surroundings};
use crate::domain::text::clean;

/// How long a datastore or a channel may take to answer.
const LOOK: Duration = Duration::from_secs(10);
/// The answer for no store, no channel.
const NONE: &str = "none";

/// Writes a config to `path`.
///
/// # Errors
/// When there is a file already and `--force` was not said, it cannot be written, or the person at the terminal went away: nothing is
/// written then.
pub async fn run(path: &Path, args: &InitArgs) -> Result<Exit, Failure> {
    if !args.force && path.symlink_metadata().is_ok() {
        let text = format!(
            "{} exists and was left alone → change it with `mayday config edit`, name another file (mayday init PATH), or --force",
            path.display()
        );
        return Err(Failure::failed(text));
    }
    let unwritable = |error: io::Error| {
        let shown = path.display();
        Failure::failed(format!("{shown} cannot be written: {error} → name another file: mayday init PATH"))
    };
    // A link stays a link: what it leads to is replaced. And nobody answers questions for nothing.
    let target = target(path).map_err(unwritable)?;
    writable(&target).map_err(unwritable)?;
    let asks = !args.example && !args.minimal;
    let talk = Talk { path };
    let text = match asks && io::stdin().is_terminal() {
        true => tokio::select! {
            text = talk.all() => text?,
            _ = tokio::signal::ctrl_c() => {
                println!();
                return Err(stopped());
            }
        },
        false if args.example => init::EXAMPLE.to_owned(),
        false => {
            if asks {
                println!("Standard input is no terminal, so nothing is asked (as with --minimal).");
            }
            init::compose(&Answers::default())
        }
    };
    let text = format!("{CONFIG_LINE}\n{text}");
    write(&target, &text, args.force).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::failed(format!("{} exists by now and was left alone", path.display())),
        _ => unwritable(error),
    })?;
    let (shown, lines) = (path.display(), text.lines().count());
    match target == path {
        true => println!("Wrote {shown} ({lines} lines)."),
        false => println!("Wrote {} ({lines} lines), where {shown} leads.", target.display()),
    }
    // Without the schema the config is as good, but for the editor.
    match schema::lay_beside(path, &kinds()) {
        Ok(beside) => println!("{} lets an editor complete and check it.", beside.display()),
        Err(error) => println!("Its schema for editors was not written ({error}); `mayday schema config` prints it."),
    }
    println!(
        "{}",
        match asks && io::stdin().is_terminal() {
            true =>
                "Next: `mayday check`, then `mayday`. `mayday config edit` changes it, `mayday kinds` lists what else can be watched.",
            false =>
                "It describes an example: put your own regions, systems and services in (`mayday config edit`), then run `mayday check`.",
        }
    );
    Ok(Exit::Ok)
}

/// The folder that a file is in, or would be.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where symbolic links lead, whether or not there is a file.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    // So many links does the system follow.
    for _ in 0..40 {
        match std::fs::read_link(&at) {
            Ok(to) => at = folder(&at).join(to),
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::other("it is a link that leads in a circle"))
}

/// Whether a file can be written, found out by writing another one beside it; nothing is left of that.
fn writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    let dir = folder(path);
    let missing: Vec<&Path> = dir.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    let tried = std::fs::create_dir_all(dir).and_then(|()| draft(dir)).map(drop);
    // Only those that were made here, and only as long as they are empty.
    missing.iter().for_each(|made| drop(std::fs::remove_dir(made)));
    tried
}

fn draft(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".mayday-init").tempfile_in(dir)
}

/// The whole file or none of it.
fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let dir = folder(path);
    std::fs::create_dir_all(dir)?;
    let mut file = draft(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(|_| ()).map_err(|error| error.error)
}

/// A conversation at the terminal.
struct Talk<'p> {
    path: &'p Path,
}

/// What a look at an answer came to.
enum Look {
    Fine(String),
    /// Wrong as it stands: it has to be answered again.
    Wrong(String),
    /// Nobody can tell; a second Enter accepts it.
    Unseen(String),
}

impl Talk<'_> {
    async fn all(&self) -> Result<String, Failure> {
        println!(
            "A few questions, then {} is written. Enter takes what stands in [brackets]; Ctrl-C writes nothing.\n",
            self.path.display()
        );
        let mut answers = Answers { standby_url: String::new(), ..Answers::default() };
        self.plain("Name of what is protected", &mut answers, |it| &mut it.name).await?;
        self.plain("Primary region, as your cloud calls it", &mut answers, |it| &mut it.primary).await?;
        self.plain("Standby region", &mut answers, |it| &mut it.standby).await?;
        self.plain("First critical service", &mut answers, |it| &mut it.service).await?;
        answers.url = format!("https://{}.example.com/healthz", answers.primary);
        let question = "URL that answers 200 while it is well, in the primary region";
        self.url(question, Need::Required, &mut answers, |it| &mut it.url).await?;
        let question = "The same in the standby region (Enter: not there)";
        self.url(question, Need::Optional, &mut answers, |it| &mut it.standby_url).await?;
        self.store(&mut answers).await?;
        self.channel(&mut answers).await?;
        Ok(init::compose(&answers))
    }

    fn read(&self, answers: &Answers) -> Result<Config, Mistakes> {
        config::parse(&init::compose(answers), self.path, &kinds())
    }

    /// Asks until what the config says is sound.
    async fn plain(
        &self,
        what: &str,
        answers: &mut Answers,
        field: fn(&mut Answers) -> &mut String,
    ) -> Result<(), Failure> {
        let default = field(answers).clone();
        loop {
            *field(answers) = plain_line(&question(what, &default), &default).await?;
            match self.read(answers) {
                Ok(_) => return Ok(()),
                Err(mistakes) => wrong(&said(&mistakes)),
            }
        }
    }

    /// Asks for a URL and tries it. One that is not needed can be left out whenever it is asked for.
    async fn url(
        &self,
        what: &str,
        need: Need,
        answers: &mut Answers,
        field: fn(&mut Answers) -> &mut String,
    ) -> Result<(), Failure> {
        let default = field(answers).clone();
        let mut typed = plain_line(&question(what, &default), &default).await?;
        loop {
            *field(answers) = typed.clone();
            if typed.is_empty() {
                return Ok(());
            }
            let look = match self.read(answers) {
                Err(mistakes) => Look::Wrong(said(&mistakes)),
                Ok(config) => tried(config, &typed).await,
            };
            match self.accepted(look, need, &typed).await? {
                None => return Ok(()),
                Some(again) => typed = again,
            }
        }
    }

    /// Says what a look came to; `Some` is what was typed instead.
    async fn accepted(&self, look: Look, need: Need, typed: &str) -> Result<Option<String>, Failure> {
        match look {
            Look::Fine(detail) => {
                println!("  ✓ {}", clean(&detail));
                Ok(None)
            }
            Look::Wrong(why) => {
                wrong(&why);
                let prompt = if need == Need::Required { "  Again: " } else { "  Again (Enter: not there): " };
                loop {
                    let again = plain_line(prompt, "").await?;
                    if !again.is_empty() || need != Need::Required {
                        return Ok(Some(again));
                    }
                }
            }
            Look::Unseen(why) => {
                println!("  ? cannot be seen from here: {}", clean(&why));
                let again = plain_line("  Enter keeps it; or type another: ", "").await?;
                Ok((!again.is_empty() && again != typed).then_some(again))
            }
        }
    }

    async fn store(&self, answers: &mut Answers) -> Result<(), Failure> {
        let found = kinds().0.iter().filter(|kind| kind.steps.iter().any(|step| step.role == StepRole::Promotes));
        let kinds: Vec<(&str, &str, &'static [Param])> =
            found.map(|kind| (kind.name, kind.title, kind.params)).collect();
        loop {
            let Some((kind, params)) = self.choice("First datastore", &kinds).await? else { return Ok(()) };
            let id = plain_line(&question("  Its name here", kind), kind).await?;
            let classes = DataClass::WORDS.join(", ");
            let first = DataClass::WORDS.first().copied().unwrap_or_default();
            let class = plain_line(&question(&format!("  What it holds ({classes})"), first), first).await?;
            let Some(params) = self.params(kind, params).await? else { continue };
            answers.store = Some(Thing { id: id.clone(), kind: kind.into(), class: Some(class), params });
            let look = match self.read(answers) {
                Err(mistakes) => Look::Wrong(said(&mistakes)),
                Ok(config) => surveyed(config, &id).await,
            };
            if self.kept(look).await? {
                return Ok(());
            }
            answers.store = None;
        }
    }

    async fn channel(&self, answers: &mut Answers) -> Result<(), Failure> {
        // What a webhook sends is a template: that is written, not asked.
        let found = kinds().1.iter().filter(|kind| kind.params.iter().any(|it| it.need == Need::Required));
        let kinds: Vec<(&str, &str, &'static [Param])> =
            found.map(|kind| (kind.name, kind.title, kind.params)).collect();
        loop {
            let Some((kind, params)) = self.choice("A way to tell people", &kinds).await? else { return Ok(()) };
            let Some(mut params) = self.params(kind, params).await? else { continue };
            params.extend(self.audience(kind).await?);
            answers.channel = Some(Thing { id: kind.into(), kind: kind.into(), class: None, params });
            let look = match self.read(answers) {
                Err(mistakes) => Look::Wrong(said(&mistakes)),
                Ok(config) => reached(&config).await,
            };
            if self.kept(look).await? {
                return Ok(());
            }
            answers.channel = None;
        }
    }

    /// Who reads a channel, where its kind leaves that open.
    async fn audience(&self, kind: &str) -> Result<Option<(&'static str, String)>, Failure> {
        let audiences = kinds().1.iter().find(|it| it.name == kind).map_or(&[][..], |it| it.audiences);
        let [first, _, ..] = audiences else { return Ok(None) };
        let words: Vec<&str> = audiences.iter().map(|it| it.word()).collect();
        let what = format!("  Who reads it ({})", words.join(", "));
        let typed = plain_line(&question(&what, first.word()), first.word()).await?;
        Ok(Some(("audience", init::text(&typed))))
    }

    /// Whether a thing of several answers is taken; else all of them are asked for again.
    async fn kept(&self, look: Look) -> Result<bool, Failure> {
        match look {
            Look::Fine(detail) => {
                println!("  ✓ {}", clean(&detail));
                Ok(true)
            }
            Look::Wrong(why) => {
                wrong(&why);
                Ok(false)
            }
            Look::Unseen(why) => {
                println!("  ? cannot be seen from here: {}", clean(&why));
                Ok(line("  Enter keeps it; anything else asks again: ", "").await?.is_empty())
            }
        }
    }

    async fn choice<'k>(
        &self,
        what: &str,
        kinds: &[(&'k str, &str, &'static [Param])],
    ) -> Result<Option<(&'k str, &'static [Param])>, Failure> {
        for (name, title, _) in kinds {
            println!("  {name:<16} {title}");
        }
        loop {
            let typed = line(&question(what, NONE), NONE).await?;
            if typed == NONE {
                return Ok(None);
            }
            match kinds.iter().find(|(name, ..)| *name == typed) {
                Some((name, _, params)) => return Ok(Some((*name, *params))),
                None => wrong("that is none of them"),
            }
        }
    }

    /// What a kind needs, asked one by one; nothing when whoever is asked does not know.
    async fn params(
        &self,
        kind: &str,
        params: &'static [Param],
    ) -> Result<Option<Vec<(&'static str, String)>>, Failure> {
        let mut given = Vec::new();
        for param in params.iter().filter(|param| asks_for(param)) {
            let needed = param.need == Need::Required;
            let default = match param.ty {
                ParamType::Secret if needed => {
                    format!("env:{}_{}", kind.to_uppercase().replace('-', "_"), param.name.to_uppercase())
                }
                _ => String::new(),
            };
            let none = if needed { "" } else { "; Enter: none" };
            let how =
                if param.ty == ParamType::Secret { format!(": {}", how(param.ty)) } else { how(param.ty).to_owned() };
            let what = format!("  {} – {}{how}{none}", param.name, param.help);
            loop {
                let typed = line(&question(&what, &default), &default).await?;
                if typed.is_empty() && !needed {
                    break;
                }
                if typed == NONE {
                    return Ok(None);
                }
                match init::value(param.ty, &typed) {
                    Ok(_) if typed.is_empty() => wrong(&format!("this is needed; `{NONE}` leaves {kind} out for now")),
                    Ok(value) => {
                        given.push((param.name, value));
                        break;
                    }
                    Err(why) => wrong(&why),
                }
            }
        }
        Ok(Some(given))
    }
}

fn stopped() -> Failure {
    Failure::failed("stopped; nothing was written")
}

fn question(what: &str, default: &str) -> String {
    if default.is_empty() { format!("{what}: ") } else { format!("{what} [{default}]: ") }
}

fn wrong(why: &str) {
    println!("  ✗ {}", clean(why));
}

/// The mistakes in a line: of a config that is being composed, places mean nothing.
fn said(mistakes: &Mistakes) -> String {
    let each = mistakes
        .0
        .iter()
        .map(|it| if it.help.is_empty() { it.what.clone() } else { format!("{} ({})", it.what, it.help) });
    each.collect::<Vec<_>>().join("; ")
}

/// A line for the config itself, or the default for an empty one: what looks like a secret is not taken, and not repeated.
async fn plain_line(prompt: &str, default: &str) -> Result<String, Failure> {
    loop {
        let typed = line(prompt, default).await?;
        if !init::looks_secret(&typed) {
            return Ok(typed);
        }
        wrong(init::NO_SECRET);
    }
}

/// A line from the terminal, or the default for an empty one.
async fn line(prompt: &str, default: &str) -> Result<String, Failure> {
    loop {
        print!("{prompt}");
        io::stdout().flush()?;
        let read = tokio::task::spawn_blocking(|| {
            let mut line = Vec::new();
            io::stdin().lock().read_until(b'\n', &mut line).map(|_| line)
        });
        let line = read.await.map_err(io::Error::other)??;
        if line.is_empty() {
            println!();
            return Err(stopped());
        }
        match std::str::from_utf8(&line).map(str::trim) {
            Ok("") => return Ok(default.to_owned()),
            Ok(line) => return Ok(line.to_owned()),
            Err(_) => wrong("some of that was no text in UTF-8: type it again"),
        }
    }
}

/// The probe of a URL, made as the engine would make it.
async fn tried(config: Config, url: &str) -> Look {
    let estate = Arc::new(config.estate);
    let systems = connect(&estate);
    let is_it = |probe: &&crate::domain::estate::ProbeSpec| probe.params.opt_text("url") == Some(url);
    let found = estate.probes.iter().find(is_it).and_then(|probe| Some((probe, systems.get(&probe.system)?)));
    let Some((probe, system)) = found else { return Look::Unseen("no probe asks for it".into()) };
    match timeout(probe.timeout.0, system.probe(probe)).await {
        Ok(reading) if reading.status == Status::Healthy => Look::Fine(reading.detail),
        Ok(reading) => Look::Unseen(format!("{}: {}", reading.status, reading.detail)),
        Err(_) => Look::Unseen(format!("no answer within {}", probe.timeout)),
    }
}

/// What cannot even be made is wrong, whoever answers: an engine would refuse it too.
fn never(fault: &Fault) -> Look {
    Look::Wrong(format!("this can never be used: {}", fault.what))
}

async fn surveyed(config: Config, id: &str) -> Look {
    let around = Surroundings { estate: Arc::new(config.estate) };
    let Some(spec) = around.estate.system(&SystemId::from(id)) else {
        return Look::Unseen("there is no such system".into());
    };
    let system = match try_connect(spec, &around) {
        Ok(system) => system,
        Err(fault) => return never(&fault),
    };
    match timeout(LOOK, system.survey()).await {
        Ok(Ok(survey)) if survey.members.is_empty() => Look::Unseen("it answers, and names no members".into()),
        Ok(Ok(survey)) => {
            let members: Vec<String> = survey.members.iter().map(|it| format!("{} {}", it.name, it.status)).collect();
            Look::Fine(members.join(", "))
        }
        Ok(Err(fault)) => Look::Unseen(fault.to_string()),
        Err(_) => Look::Unseen(format!("no answer within {} s", LOOK.as_secs())),
    }
}

/// Asks the one channel who it is; nobody is told anything by that.
async fn reached(config: &Config) -> Look {
    let Some(spec) = config.estate.channels.first() else { return Look::Unseen("there is no channel".into()) };
    let channel = match try_channel(spec) {
        Ok(channel) => channel,
        Err(fault) => return never(&fault),
    };
    match timeout(LOOK, channel.reach()).await {
        Ok(Ok(detail)) => Look::Fine(detail),
        Ok(Err(fault)) => Look::Unseen(fault.to_string()),
        Err(_) => Look::Unseen(format!("no answer within {} s", LOOK.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_without_a_question_is_sound_and_short() {
        let text = init::compose(&Answers::default());
        assert!(text.lines().count() < 60, "{text}");
        let config = config::parse(&text, Path::new("config.toml"), &kinds()).unwrap();
        assert_eq!((config.estate.probes.len(), config.estate.regions.len()), (2, 2));
    }

    #[test]
    fn a_file_that_is_there_is_left_alone_unless_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/config.toml");
        write(&path, "one", false).unwrap();
        assert_eq!(write(&path, "two", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        write(&path, "two", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing half is left");
    }

    #[test]
    fn whether_a_file_can_be_written_is_found_out_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        writable(&dir.path().join("deep/er/config.toml")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::fs::write(dir.path().join("file"), "").unwrap();
        writable(&dir.path().join("file/config.toml")).unwrap_err();
        writable(dir.path()).unwrap_err();
        writable(&dir.path().join("file")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_written_through() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("links")).unwrap();
        symlink("../second.toml", at("links/first.toml")).unwrap();
        symlink(at("third.toml"), at("second.toml")).unwrap();
        for text in ["one", "two"] {
            write(&target(&at("links/first.toml")).unwrap(), text, true).unwrap();
            assert_eq!(std::fs::read_to_string(at("third.toml")).unwrap(), text);
        }
        assert!(at("links/first.toml").is_symlink() && at("second.toml").is_symlink());
        symlink("circle", at("circle")).unwrap();
        target(&at("circle")).unwrap_err();
    }

    #[tokio::test]
    async fn a_channel_that_can_never_be_used_is_wrong() {
        let channel = |page: &str| {
            let params = vec![("page", init::text(page)), ("token", "{ env = \"MAYDAY_NO_SUCH_TOKEN\" }".to_owned())];
            let thing = Thing { id: "page".into(), kind: "statuspage".into(), class: None, params };
            let answers = Answers { channel: Some(thing), ..Answers::default() };
            config::parse(&init::compose(&answers), Path::new("config.toml"), &kinds()).unwrap()
        };
        let Look::Wrong(why) = reached(&channel("no page")).await else { panic!("it is taken") };
        assert!(why.contains("`page` is no id of a page"), "{why}");
    }
}
