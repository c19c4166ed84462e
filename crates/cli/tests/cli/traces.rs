//! Traces, for a collector that listens to what is sent by OTLP.

use crate::common::{World, free_address, get, send};
use crate::load::{Gate, Upstream};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A collector, and what it was sent.
struct Collector {
    endpoint: String,
    batches: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let batches: Arc<Mutex<Vec<_>>> = Arc::default();
        let kept = Arc::clone(&batches);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.expect("a connection"), Arc::clone(&kept));
                thread::spawn(move || while take(&stream, &kept).is_some() {});
            }
        });
        Self { endpoint, batches }
    }

    fn spans(&self) -> Vec<(String, Span)> {
        let mut spans = Vec::new();
        for resource in self.batches.lock().expect("a lock").iter().flat_map(|batch| &batch.resource_spans) {
            let about = resource.resource.as_ref().expect("a resource");
            let name = about.attributes.iter().find(|known| known.key == "service.name").expect("a name");
            let name = text(name.value.as_ref().and_then(|value| value.value.as_ref()));
            let all = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.extend(all.map(|span| (name.clone(), span.clone())));
        }
        spans
    }

    /// The only span of that name and service.
    #[track_caller]
    fn only(&self, service: &str, name: &str) -> Span {
        let spans = self.spans();
        let found: Vec<_> = spans.iter().filter(|(of, span)| of == service && span.name == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0].1.clone()
    }
}

fn take(stream: &TcpStream, kept: &Mutex<Vec<ExportTraceServiceRequest>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut first) = (0, true);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if std::mem::take(&mut first) {
            assert!(line.starts_with("POST /v1/traces "), "{line}");
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    kept.lock().expect("a lock").push(ExportTraceServiceRequest::decode(body.as_slice()).expect("protobuf"));
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|known| known.key == name);
    text(found.and_then(|found| found.value.as_ref()?.value.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_request_s_trace_goes_on_through_the_gateway_to_the_upstream() {
    let (collector, upstream, gate) = (Collector::start(), Upstream::start("one"), Gate::new());
    gate.world.write("gateway.toml", &gate.config(upstream.address, "127.0.0.1:0"));
    let service = gate.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)], &["gateway"]);
    let mut client = gate.client(service.told("listen").parse().expect("an address"));
    client.ask_with_a_new_proof();
    let asked = upstream.asked();
    let request = client.request();
    let lines = format!("GET /a?canary=1 HTTP/1.1\r\ntraceparent: 00-{TRACE}-{CALLER}-01\r\n");
    let answer = client.ask(&request.replacen("GET /a HTTP/1.1\r\n", &lines, 1));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    upstream.wait_until_asked(asked + 1);
    assert_eq!(service.stop(), 0);

    let of_trace: Vec<Span> = collector
        .spans()
        .into_iter()
        .map(|(_, span)| span)
        .filter(|span| hex(&span.trace_id) == TRACE)
        .collect();
    let [one, two] = of_trace.as_slice() else { panic!("two spans: {of_trace:#?}") };
    let (server, exchange) = if one.name == "GET" { (one, two) } else { (two, one) };
    assert_eq!((server.name.as_str(), exchange.name.as_str()), ("GET", "upstream"));
    assert_eq!((server.kind, exchange.kind), (2, 3), "SPAN_KIND_SERVER, SPAN_KIND_CLIENT");
    assert_eq!(hex(&server.parent_span_id), CALLER);
    assert_eq!(exchange.parent_span_id, server.span_id);
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/"),
        ("url.path", "/a"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
    ] {
        assert_eq!(attribute(server, name), value, "{name}");
    }
    assert_eq!(attribute(exchange, "server.port"), upstream.address.port().to_string());
    let told = upstream.heads().into_iter().find(|head| head.contains(TRACE)).expect("the upstream is told");
    assert!(told.contains(&format!("traceparent: 00-{TRACE}-{}-01", hex(&exchange.span_id))), "{told}");
    let all = format!("{:?}", collector.spans());
    for secret in client.secrets(&request).iter().map(String::as_str).chain(["canary"]) {
        assert!(!all.contains(secret), "OPS-LOG-01: {secret}");
    }
}

#[test]
fn the_provider_s_requests_are_spans_and_the_gateway_s_fetch_of_its_keys_too() {
    let (collector, world, upstream) = (Collector::start(), World::new(), Upstream::start("one"));
    let issuer = free_address().to_string();
    let config = format!(
        "issuer = \"http://{issuer}\"\nlisten = {issuer:?}\n[[resource]]\nidentifier = \"https://api.example\"\nscopes = [\"read\"]\n"
    );
    world.write("keybound.toml", &config);
    let gate = Gate::new();
    let on = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str())];
    let provider = crate::load::Running::start_with(world.command(&["serve"]), &on);
    let api = format!("http://{}", upstream.address);
    let flags = [
        "gateway",
        "--public-url",
        "https://api.example",
        "--issuer",
        &format!("http://{issuer}"),
        "--upstream",
        &api,
        "--listen",
        "127.0.0.1:0",
    ];
    let gateway = gate.start_with(&on, &flags);
    let token = gate.token_of(&format!("http://{issuer}"));
    let answer =
        send(gateway.told("listen"), "GET /", &format!("Authorization: DPoP {token}\r\nDPoP: x\r\n"), "");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!((gateway.stop(), provider.stop()), (0, 0));
    let asked = collector.only("keybound-gateway", "GET");
    let spans = collector.spans();
    let fetches: Vec<&Span> =
        spans.iter().map(|(_, span)| span).filter(|span| span.name == "fetch").collect();
    assert!(!fetches.is_empty() && fetches.iter().all(|span| span.trace_id == asked.trace_id), "{spans:#?}");
    let answered = spans.iter().filter(|(service, span)| service == "keybound-provider" && span.kind == 2);
    let paths: Vec<String> = answered.map(|(_, span)| attribute(span, "url.path")).collect();
    assert!(paths.iter().any(|path| path.starts_with("/.well-known/")), "{paths:?}");
}

#[test]
fn without_a_collector_a_trace_passes_as_it_came_and_a_collector_in_the_clear_is_refused() {
    let (upstream, gate) = (Upstream::start("one"), Gate::new());
    gate.world.write("gateway.toml", &gate.config(upstream.address, "127.0.0.1:0"));
    let service = gate.start(&["gateway"]);
    let mut client = gate.client(service.told("listen").parse().expect("an address"));
    client.ask_with_a_new_proof();
    let lines = format!("GET /a HTTP/1.1\r\ntraceparent: 00-{TRACE}-{CALLER}-01\r\n");
    client.ask(&client.request().replacen("GET /a HTTP/1.1\r\n", &lines, 1));
    let passed = format!("traceparent: 00-{TRACE}-{CALLER}-01");
    assert!(upstream.heads().iter().any(|head| head.contains(&passed)), "{:?}", upstream.heads());
    assert!(get(service.told("listen"), "/").starts_with("HTTP/1.1 401 "));
    assert_eq!(service.stop(), 0);
    let mut command = gate.world.command(&["gateway"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318");
    let output = command.output().expect("ended");
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.contains("OTEL_EXPORTER_OTLP_ENDPOINT must be an https URL"), "{told}");
}
