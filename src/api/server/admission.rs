//! Who may talk to an engine: its own user and root, and the members of a group if its owner shares the socket with one. The mode of the
//! socket says so to the kernel, and the peer's credentials are looked at once more.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Peer;
use super::peer::looked_up;
use crate::api::protocol::{ApiError, ErrorCode};

/// Why a socket cannot be shared with a group.
#[derive(Debug, thiserror::Error)]
pub enum NotShared {
    #[error("there is no group `{0}` → name one of /etc/group")]
    Unknown(String),
    #[error("its members cannot reach the socket: {0} is closed to them → name one in an open folder, with --socket")]
    Closed(String),
    #[error("the socket cannot be given to the group: {0} → run the engine as a member of it")]
    Forbidden(#[from] io::Error),
}

/// Opens a socket that is listened on to the members of a group, named or numbered; says its number.
///
/// # Errors
/// When there is no such group, its members could not reach the socket, or it may not be given to them.
pub fn share(socket: &Path, group: &str) -> Result<u32, NotShared> {
    let named = uzers::get_group_by_name(group).map(|found| found.gid());
    let gid = named.or_else(|| group.parse().ok()).ok_or_else(|| NotShared::Unknown(group.to_owned()))?;
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let known = fs::metadata(folder)?;
    let opens = known.mode() & 0o001 != 0 || (known.mode() & 0o010 != 0 && known.gid() == gid);
    if !opens {
        return Err(NotShared::Closed(folder.display().to_string()));
    }
    chown(socket, None, Some(gid))?;
    fs::set_permissions(socket, Permissions::from_mode(0o660))?;
    Ok(gid)
}

/// Lets a request through, or says whom to ask.
pub(super) async fn admit(
    State(group): State<Option<u32>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let own = rustix::process::getuid().as_raw();
    if admits(&peer, own, group, |_, _| false) || is_listed(&peer, group).await {
        return next.run(request).await;
    }
    let next = match group {
        Some(_) => "join the group that it is shared with, or run your own engine",
        None => "ask its owner, or run your own engine",
    };
    ApiError::new(ErrorCode::Forbidden, "this engine belongs to another user", next).into_response()
}

fn admits(peer: &Peer, own: u32, group: Option<u32>, is_member: impl Fn(u32, u32) -> bool) -> bool {
    let Some(uid) = peer.uid else { return false };
    let shared = |group: u32| peer.gid == Some(group) || is_member(uid, group);
    uid == own || uid == 0 || group.is_some_and(shared)
}

/// Whether the user database has the peer in the group. While it does not answer, only those come in of whom the kernel tells.
async fn is_listed(peer: &Peer, group: Option<u32>) -> bool {
    let (Some(uid), Some(group)) = (peer.uid, group) else { return false };
    looked_up(move || is_member(uid, group)).await.unwrap_or(false)
}

/// As the user database has it: the kernel vouches only for the group that a process runs in.
fn is_member(uid: u32, group: u32) -> bool {
    let Some(user) = uzers::get_user_by_uid(uid) else { return false };
    let groups = uzers::get_user_groups(user.name(), user.primary_group_id()).unwrap_or_default();
    groups.iter().any(|known| known.gid() == group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_root_and_the_group_come_in() {
        let peer = |uid, gid| Peer { uid: Some(uid), gid: Some(gid), ..Peer::default() };
        let member = |uid, group| uid == 1002 && group == 50;
        let admits = |peer: Peer, group| admits(&peer, 1000, group, member);
        assert!(admits(peer(1000, 1000), None) && admits(peer(0, 0), None));
        assert!(!admits(peer(1001, 1001), None) && !admits(peer(1002, 1002), None));
        assert!(admits(peer(1001, 50), Some(50)), "by the group it runs in");
        assert!(admits(peer(1002, 1002), Some(50)), "by the user database");
        assert!(!admits(peer(1001, 1001), Some(50)));
        assert!(!admits(Peer { uid: None, gid: Some(50), ..Peer::default() }, Some(50)), "nobody vouches for it");
    }

    #[test]
    fn a_socket_in_a_closed_folder_is_not_shared() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        fs::write(&socket, "").unwrap();
        let own = fs::metadata(&socket).unwrap().gid();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(share(&socket, &own.to_string()), Err(NotShared::Closed(_))));
        fs::set_permissions(dir.path(), Permissions::from_mode(0o750)).unwrap();
        assert_eq!(share(&socket, &own.to_string()).unwrap(), own);
        assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o660);
        assert!(matches!(share(&socket, "no such group"), Err(NotShared::Unknown(_))));
    }
}
