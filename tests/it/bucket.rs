//! A bucket of objects in memory on loopback, as much of S3 as `doctor` needs: it may ignore conditions, and
//! its clock stands still.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The time of every object.
const LAST_MODIFIED: &str = "Sat, 14 Mar 2026 07:00:00 GMT";

pub struct Bucket {
    address: SocketAddr,
    objects: Objects,
}

/// By key, `folder/name`.
type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

impl Bucket {
    /// `honours_conditions`: whether an object that exists is not created again.
    pub fn start(honours_conditions: bool) -> Bucket {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, objects) = (listener.local_addr().unwrap(), Objects::default());
        let of_server = objects.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let objects = of_server.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &objects, honours_conditions));
            }
        });
        Bucket { address, objects }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

fn answer(stream: TcpStream, objects: &Objects, honours_conditions: bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
    let Some((method, target)) = head
        .split_once(" HTTP/")
        .and_then(|(line, _)| line.split_once(' '))
    else {
        return;
    };
    let header = |name: &str| {
        let named = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}: "));
        let line = head.lines().find(named)?;
        Some(line.split_once(": ").unwrap().1.trim().to_owned())
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();

    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = |path: &str| {
        let path = path.trim_start_matches('/').replace("%3D", "=");
        path.split_once('/')
            .map_or(String::new(), |(_, key)| key.to_owned())
    };
    let (key, mut objects) = (key(path), objects.lock().unwrap());
    let (status, body) = match method {
        "PUT" => match header("x-amz-copy-source").map(|from| key_of_copy(&from)) {
            Some(from) => {
                let copied = objects[&from].clone();
                objects.insert(key, copied);
                let etag = "<CopyObjectResult><ETag>\"1\"</ETag></CopyObjectResult>";
                ("200 OK", etag.into())
            }
            None if honours_conditions
                && header("if-none-match").is_some()
                && objects.contains_key(&key) =>
            {
                ("412 Precondition Failed", vec![])
            }
            None => {
                objects.insert(key, body);
                ("200 OK", vec![])
            }
        },
        "POST" => {
            let text = String::from_utf8(body).unwrap();
            let keys = text.split("<Key>").skip(1);
            for key in keys.map(|rest| rest.split_once('<').unwrap().0) {
                objects.remove(key);
            }
            let deleted = text.split("<Key>").skip(1).count();
            let deleted = "<Deleted><Key>x</Key></Deleted>".repeat(deleted);
            (
                "200 OK",
                format!("<DeleteResult>{deleted}</DeleteResult>").into(),
            )
        }
        _ if query.contains("list-type=2") => {
            ("200 OK", "<ListBucketResult></ListBucketResult>".into())
        }
        _ => match objects.get(&key) {
            Some(body) => ("200 OK", body.clone()),
            None => ("404 Not Found", vec![]),
        },
    };
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"1\"\r\nLast-Modified: {LAST_MODIFIED}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method != "HEAD" {
        let _ = stream.write_all(&body);
    }
}

/// The key of `bucket/key`, as the header of a copy has it.
fn key_of_copy(source: &str) -> String {
    let source = source.trim_start_matches('/').replace("%3D", "=");
    source.split_once('/').unwrap().1.to_owned()
}
