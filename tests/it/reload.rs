//! A config that changes on disk: noticed, taken between two decisions without losing anything, or refused in words.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use mayday::api::client::{Client, Fed, Feed};
use mayday::domain::command::Ask;
use mayday::domain::event::Event;
use mayday::domain::ids::SessionId;
use mayday::domain::view::Snapshot;
use rustix::process::Signal;

use crate::common::eventually;
use crate::process::{EMPTY, Home, said};

const REFUSED: i32 = 5;
const CONFIG: i32 = 7;

/// Another service, for a file of its own.
const MORE: &str = r#"
[[service]]
id = "more"
tier = "critical"

[[service.probe]]
kind = "script.run"
command = ["/nonexistent"]
every = "1h"
region = "us-west-2"
"#;

/// A plan that waits for somebody at its gate.
const PLAN: &str = r#"
title = "Wait"
about = "Waits."

[[step]]
id = "wait"
title = "Do nothing"
kind = "script.run"
gate = "confirm"
timeout = "10s"
command = ["true"]
"#;

fn home() -> Home {
    let home = Home::new(&format!("include = [\"conf.d/*.toml\"]\nplans_dir = \"plans\"\n{EMPTY}"));
    for folder in ["conf.d", "plans"] {
        fs::create_dir(home.dir().join(folder)).unwrap();
    }
    fs::write(home.dir().join("plans/wait.toml"), PLAN).unwrap();
    home
}

fn services(view: &Snapshot) -> Vec<&str> {
    view.estate.services.iter().map(|it| it.id.as_str()).collect()
}

async fn changed(client: &Client, files: &[&str]) {
    let what = format!("{files:?} is seen to have changed");
    eventually(&what, async || (client.snapshot().await.ok()?.live.config_changed == files).then_some(())).await;
}

/// The next whole that a cockpit is sent.
async fn whole(feed: &mut Feed) -> Box<Snapshot> {
    loop {
        match feed.next().await {
            Fed::Snapshot(view) => return view,
            Fed::Lost(error) => panic!("the engine was lost: {error}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_one_is_taken_and_nothing_is_lost() {
    let home = home();
    let mut engine = home.engine().await;
    let client = home.client();
    let session = SessionId::from("here");
    let cockpit = Client::cockpit(home.socket(), session.clone(), false);
    let mut feed = cockpit.feed();
    whole(&mut feed).await;
    cockpit.ask(&Ask::Arm {}).await.unwrap();
    home.says("hold on --reason quiet").await.is(0, &[]);
    home.says("incident declare trouble --severity sev2").await.is(0, &[]);
    let before = client.snapshot().await.unwrap();
    home.says("engine reload").await.is(0, &["nothing to do"]);

    fs::write(home.dir().join("conf.d/more.toml"), MORE).unwrap();
    changed(&client, &["more.toml"]).await;
    home.says("status").await.is(0, &["changed on disk, not loaded (more.toml) → mayday engine reload"]);
    home.says("engine reload").await.is(0, &["more.toml"]);

    let view = whole(&mut feed).await;
    assert_eq!(services(&view), ["nothing", "more"]);
    let after = client.snapshot().await.unwrap();
    assert!(after.live.config_changed.is_empty());
    assert!(after.state.armed.contains_key(&session) && after.live.attached.contains_key(&session));
    assert_eq!((&after.state.hold, &after.state.incident), (&before.state.hold, &before.state.incident));
    assert!(after.state.hold.is_some() && after.state.incident.is_some());
    assert!(after.state.seq > before.state.seq, "it is in the journal");
    let records = client.records(before.state.seq, 100).await.unwrap();
    let told = |event: &Event| matches!(event, Event::NoteAdded { text } if text.contains("more.toml"));
    assert!(records.iter().any(|it| told(&it.event) && it.actor.uid.is_some()), "{records:#?}");
    client.verify().await.unwrap();
    cockpit.ask(&Ask::Disarm {}).await.unwrap();
    assert!(!engine.has_ended());

    cockpit.ask(&Ask::Arm {}).await.unwrap();
    drop(feed);
    let gone = async || {
        let view = client.snapshot().await.ok()?;
        (view.live.attached.is_empty() && view.state.armed.is_empty()).then_some(())
    };
    eventually("a cockpit that goes is disarmed by the new one", gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsound_one_is_refused_with_every_mistake_and_the_old_one_goes_on() {
    let home = home();
    let _engine = home.engine().await;
    fs::write(home.dir().join("conf.d/a.toml"), "[policy]\nsettle = 3\n").unwrap();
    fs::write(home.dir().join("conf.d/b.toml"), MORE.replace("critical", "important")).unwrap();
    changed(&home.client(), &["a.toml", "b.toml"]).await;
    home.says("engine reload")
        .await
        .is(CONFIG, &["a.toml:2:10", "b.toml:4:8", "2 mistakes", "goes on with the config that it has"]);
    assert_eq!(services(&home.client().snapshot().await.unwrap()), ["nothing"]);
    fs::remove_file(home.dir().join("conf.d/a.toml")).unwrap();
    fs::remove_file(home.dir().join("conf.d/b.toml")).unwrap();
    changed(&home.client(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_run_is_under_way_it_is_refused() {
    let home = home();
    let _engine = home.engine().await;
    fs::write(home.dir().join("conf.d/more.toml"), MORE).unwrap();
    home.says("failover run wait --reason test").await.is(3, &[]);
    home.says("engine reload").await.is(REFUSED, &["is under way (wait)", "abandon it"]);
    assert_eq!(services(&home.client().snapshot().await.unwrap()), ["nothing"]);
    home.says("failover abandon --reason test").await.is(0, &[]);
    home.says("engine reload").await.is(0, &["more.toml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_incident_stands_on_is_not_taken_away() {
    let home = home();
    fs::write(home.dir().join("conf.d/more.toml"), MORE).unwrap();
    let _engine = home.engine().await;
    home.says("incident declare trouble --severity sev2").await.is(0, &[]);
    fs::remove_file(home.dir().join("conf.d/more.toml")).unwrap();
    let config = fs::read_to_string(home.dir().join("config.toml")).unwrap();
    fs::write(home.dir().join("config.toml"), config.replace("critical = \"5m\"", "critical = \"6m\"")).unwrap();
    home.says("engine reload").await.is(REFUSED, &["service more (", "is open", "objectives", "put it back"]);
    home.says("incident close --note over --despite test").await.is(0, &[]);
    home.says("engine reload").await.is(0, &["config.toml", "more.toml"]);
    assert_eq!(services(&home.client().snapshot().await.unwrap()), ["nothing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_it_too() {
    let home = home();
    let mut engine = home.engine().await;
    fs::write(home.dir().join("conf.d/more.toml"), MORE).unwrap();
    engine.signal(Signal::HUP);
    let taken = async || (services(&home.client().snapshot().await.ok()?).len() == 2).then_some(());
    eventually("it is taken", taken).await;
    assert!(!engine.has_ended());
}

/// Lets `mayday config edit` find an editor that does `what` to the file `$1`.
async fn edited(home: &Home, what: &str) -> crate::process::Said {
    let editor = home.dir().join("editor.sh");
    fs::write(&editor, format!("#!/bin/sh\n{what}\n")).unwrap();
    fs::set_permissions(&editor, Permissions::from_mode(0o700)).unwrap();
    let mut command = home.mayday("config edit");
    command.env("VISUAL", &editor).env("EDITOR", "false");
    said(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_taken_only_when_it_is_sound() {
    let home = Home::new(EMPTY);
    let path = home.dir().join("config.toml");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let copies = || {
        let entries =
            fs::read_dir(home.dir()).unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
        entries.filter(|name| name.starts_with(".mayday-edit-")).count()
    };
    edited(&home, "true").await.is(0, &["Nothing was changed"]);
    edited(&home, "exit 3").await.is(1, &["the editor", "nothing was changed"]);
    assert_eq!(copies(), 0);

    let refused = edited(&home, "sed -i 's/\"standard\"/\"important\"/; s/\"5m\"/5/' \"$1\"").await;
    refused.is(CONFIG, &["config.toml:6:", "config.toml:14:", "2 mistakes", "your text is in"]);
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), copies()), (EMPTY, 1));

    let other = format!("sed -i 's/Empty/Mine/' \"$1\"; echo '# theirs' >> '{}'", path.display());
    edited(&home, &other).await.is(REFUSED, &["somebody else changed the config", "your text is in"]);

    let told = edited(&home, "echo '# mine' >> \"$1\"; exit 3").await;
    told.is(1, &["the editor", "nothing was changed; your text is in"]);
    let told = edited(&home, "printf '# caf\\351\\n' >> \"$1\"").await;
    told.is(CONFIG, &["not text in UTF-8", "your text is in"]);
    assert_eq!(copies(), 4);
    let removed = format!("echo '# mine' >> \"$1\"; rm '{}'", path.display());
    let now = fs::read(&path).unwrap();
    edited(&home, &removed).await.is(REFUSED, &["was removed meanwhile", "your text is in"]);
    fs::write(&path, now).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();

    let _engine = home.engine().await;
    edited(&home, "sed -i 's/Empty/Full/' \"$1\"").await.is(0, &["is valid, and taken", "mayday engine reload"]);
    assert!(fs::read_to_string(&path).unwrap().contains("Full"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    home.says("engine reload").await.is(0, &["config.toml"]);
    assert_eq!(home.client().snapshot().await.unwrap().estate.name, "Full");
}
