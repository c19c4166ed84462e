//! Proxies of other people in front of an API, with our decision point behind them: the files of `deploy`, as they are
//! but for addresses. `cargo xtask setup` installs the proxies.

mod caller;
mod proxy;
mod stage;

mod disguises;
mod faults;
mod paths;
mod refusals;
mod who_calls;

/// The same scenario behind each proxy.
macro_rules! behind_each_proxy {
    ($($scenario:ident)*) => {
        behind_each_proxy!(@ nginx Nginx $($scenario)*);
        behind_each_proxy!(@ caddy Caddy $($scenario)*);
        behind_each_proxy!(@ haproxy Haproxy $($scenario)*);
        behind_each_proxy!(@ envoy_by_grpc EnvoyGrpc $($scenario)*);
        behind_each_proxy!(@ envoy_by_http EnvoyHttp $($scenario)*);
    };
    (@ $module:ident $proxy:ident $($scenario:ident)*) => {
        mod $module {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(crate::proxy::Proxy::$proxy).await;
            })*
        }
    };
}
pub(crate) use behind_each_proxy;
