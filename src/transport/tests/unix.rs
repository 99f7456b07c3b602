//! Over a socket in the file system.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A fresh folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("selvedge-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).expect("created");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn both_languages_go_over_a_socket_that_only_its_owner_can_open() {
    let folder = Folder::new();
    let path = folder.file("broker.sock");
    let listener = StreamListener::bind(&ListenAt::Unix(path.clone(), 0o600)).await.expect("bound");
    assert_eq!(listener.at, crate::link::ListenAddress::Unix(path.clone()));
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    for wire in [Protocol::Conat, Protocol::Selvedge] {
        let options = DialOptions { address: format!("unix:{}", path.display()), wire, ..to("") };
        let accepting = async {
            let connection = listener.accept().await.expect("a connection");
            accept_with_handshake(connection, &AcceptOptions::default()).await.expect("accepted")
        };
        let (client, (mut broker, handshake)) = tokio::join!(dial(&options), accepting);
        assert_eq!(handshake.address, None);
        let mut client = client.expect("dialled");
        converse(&mut client, &mut broker).await;
        carry_much(&mut client, &mut broker).await;
    }
    drop(listener);
    assert!(!path.exists(), "nothing is left behind");
}

#[tokio::test]
async fn what_a_dead_process_left_is_replaced_and_nothing_else_is() {
    let folder = Folder::new();
    let path = folder.file("broker.sock");
    // A listener of the standard library leaves its file behind, as a process does that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    let place = ListenAt::Unix(path.clone(), 0o660);
    let listener = StreamListener::bind(&place).await.expect("replaced");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o660);
    let taken = StreamListener::bind(&place).await.map(drop).expect_err("somebody lives there");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    // What somebody else has put there in the meantime is not ours to remove.
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, "a file").expect("written");
    drop(listener);
    assert!(path.exists());
    let taken = StreamListener::bind(&place).await.map(drop).expect_err("no socket");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "a file");
}
