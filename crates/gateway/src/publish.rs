//! What everybody may know of the API (RFC 9728): derived from the configuration, and published unless it says not to.

use crate::config::Config;
use keybound_resource::{Demand, GuardConfig, MetadataService};

/// The service that publishes, and its URLs made known to the guard, whose challenges name them.
pub(crate) fn metadata(config: &Config, guard: &mut GuardConfig) -> Option<MetadataService> {
    let for_people = config.metadata.as_ref()?;
    let demands: Vec<Demand> =
        config.routes.iter().filter_map(|route| route.rule.demand().cloned()).collect();
    let mut all = guard.metadata(&demands);
    for metadata in all.iter_mut().filter(|metadata| is_of_all(config, metadata.resource.as_str())) {
        metadata.for_people = for_people.clone();
    }
    let service = MetadataService::new(&config.public_url, all);
    guard.metadata = service.urls();
    Some(service)
}

/// Words are those of the API as a whole: a route with an audience of its own is another resource.
fn is_of_all(config: &Config, resource: &str) -> bool {
    config.audience.iter().any(|name| name == resource)
}
