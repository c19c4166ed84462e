//! A web site on a loopback socket, whose documents a test puts there.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
struct Document {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Shelf {
    documents: HashMap<String, Document>,
    asked: Vec<String>,
}

/// The site. It ends with the test's runtime.
pub(crate) struct Site {
    origin: String,
    shelf: Arc<Mutex<Shelf>>,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let shelf = Arc::<Mutex<Shelf>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, shelf }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Puts a document there; gives its URL.
    pub(crate) fn put(&self, path: &str, body: impl AsRef<[u8]>) -> String {
        self.answer_with(path, 200, &[], body)
    }

    pub(crate) fn answer_with(
        &self,
        path: &str,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: impl AsRef<[u8]>,
    ) -> String {
        let document = Document { status, headers: headers.to_vec(), body: body.as_ref().to_vec() };
        self.shelf.lock().unwrap().documents.insert(path.to_owned(), document);
        self.url(path)
    }

    /// How often that path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.shelf.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, request: Request) -> Response<Body> {
    let mut shelf = shelf.lock().unwrap();
    let path = request.uri().path().to_owned();
    let found = shelf.documents.get(&path).cloned();
    shelf.asked.push(path);
    let Some(document) = found else {
        let mut missing = Response::new(Body::empty());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return missing;
    };
    let mut response = Response::new(Body::from(document.body));
    *response.status_mut() = StatusCode::from_u16(document.status).unwrap();
    for (name, value) in document.headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
