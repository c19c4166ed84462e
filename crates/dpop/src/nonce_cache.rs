//! A client's memory of the nonces that servers gave it (RFC 9449 §8.2), bounded.

use crate::nonce::Nonce;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Which side of the protocol a server plays; one origin may play both, each with nonces of its own (RFC 9449 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// An authorization server.
    AuthorizationServer,
    /// A resource server.
    ResourceServer,
}

/// Servers remembered at the most (CL-NON-10).
pub const MAX_SERVERS: usize = 1000;

/// The latest nonce of each server, by role and origin (scheme, host and port). Shared by concurrent requests.
#[derive(Debug, Default)]
pub struct NonceCache {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    of_authorization_servers: Nonces,
    of_resource_servers: Nonces,
    uses: u64,
}

/// By origin, with the number of the last use.
type Nonces = HashMap<String, (Nonce, u64)>;

impl Held {
    const fn in_role(&mut self, role: Role) -> &mut Nonces {
        match role {
            Role::AuthorizationServer => &mut self.of_authorization_servers,
            Role::ResourceServer => &mut self.of_resource_servers,
        }
    }

    fn len(&self) -> usize {
        self.of_authorization_servers.len() + self.of_resource_servers.len()
    }

    fn drop_oldest(&mut self) {
        let oldest = |nonces: &Nonces| {
            let oldest = nonces.iter().min_by_key(|(_, (_, used))| *used);
            oldest.map(|(origin, (_, used))| (*used, origin.clone()))
        };
        let in_role = |role, nonces| oldest(nonces).map(|(used, origin)| (used, role, origin));
        let oldest = [
            in_role(Role::AuthorizationServer, &self.of_authorization_servers),
            in_role(Role::ResourceServer, &self.of_resource_servers),
        ];
        if let Some((_, role, origin)) = oldest.into_iter().flatten().min_by_key(|(used, ..)| *used) {
            self.in_role(role).remove(&origin);
        }
    }
}

impl NonceCache {
    /// The nonce to send to that server next; `None` until it has given one (CL-NON-08).
    #[must_use]
    pub fn get(&self, role: Role, origin: &str) -> Option<Nonce> {
        let mut held = self.held.lock();
        held.uses += 1;
        let uses = held.uses;
        let (nonce, used) = held.in_role(role).get_mut(origin)?;
        *used = uses;
        Some(nonce.clone())
    }

    /// Takes the nonce that a server gave, in whatever answer; it replaces the one before. The server that was used
    /// longest ago makes room.
    pub fn put(&self, role: Role, origin: &str, nonce: Nonce) {
        let mut held = self.held.lock();
        held.uses += 1;
        let uses = held.uses;
        if let Some(known) = held.in_role(role).get_mut(origin) {
            *known = (nonce, uses);
            return;
        }
        if held.len() >= MAX_SERVERS {
            held.drop_oldest();
        }
        held.in_role(role).insert(origin.to_owned(), (nonce, uses));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(text: &str) -> Nonce {
        Nonce::parse(text).expect("NQCHAR")
    }

    #[test]
    fn cl_non_06_two_roles_on_one_origin_keep_two_nonces() {
        let cache = NonceCache::default();
        cache.put(Role::AuthorizationServer, "https://h", nonce("a"));
        assert_eq!(cache.get(Role::ResourceServer, "https://h"), None);
        cache.put(Role::ResourceServer, "https://h", nonce("b"));
        assert_eq!(cache.get(Role::AuthorizationServer, "https://h"), Some(nonce("a")));
        assert_eq!(cache.get(Role::AuthorizationServer, "https://h:8443"), None);
    }

    #[test]
    fn cl_non_10_the_cache_is_bounded() {
        let cache = NonceCache::default();
        cache.put(Role::ResourceServer, "kept", nonce("k"));
        for index in 0..2 * MAX_SERVERS {
            cache.put(Role::ResourceServer, &format!("https://h{index}"), nonce("n"));
            assert_eq!(cache.get(Role::ResourceServer, "kept"), Some(nonce("k")));
        }
        assert_eq!(cache.held.lock().len(), MAX_SERVERS);
    }

    #[test]
    fn cl_non_10_the_server_that_was_used_longest_ago_makes_room() {
        const FEW: usize = 10;
        let cache = NonceCache::default();
        let origin = |index: usize| format!("https://h{index}");
        let put = |from: usize, to: usize| {
            (from..to).for_each(|index| cache.put(Role::ResourceServer, &origin(index), nonce("n")));
        };
        let gone = |indexes: &[usize]| {
            let held = cache.held.lock();
            indexes.iter().all(|index| !held.of_resource_servers.contains_key(&origin(*index)))
        };
        put(0, MAX_SERVERS + FEW);
        assert!(gone(&Vec::from_iter(0..FEW)), "those that were put first");
        // All are used once more, the last one first.
        for index in (FEW..MAX_SERVERS + FEW).rev() {
            assert!(cache.get(Role::ResourceServer, &origin(index)).is_some());
        }
        put(MAX_SERVERS + FEW, MAX_SERVERS + 2 * FEW);
        assert!(gone(&Vec::from_iter(MAX_SERVERS..MAX_SERVERS + FEW)), "those that were asked for first");
    }
}
