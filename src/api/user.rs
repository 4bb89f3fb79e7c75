//! What people are called who are known by a number.

use crate::domain::text::clean;

/// The account of a user id; `None`: there is none, or the user database does not say. It may be a network away, so this can hang.
pub fn account(uid: u32) -> Option<String> {
    let user = uzers::get_user_by_uid(uid)?;
    Some(clean(&user.name().to_string_lossy())).filter(|name| !name.is_empty())
}
