/// An authority of our own and a certificate that it signed for `localhost` (not for 127.0.0.1), valid from 2020 to 2119.
///
/// The key is the test's alone; it opens nothing.
enum TestCertificates {
    static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBZTCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBd0d2VsdmVm
        cyB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
        MFowIjEgMB4GA1UEAwwXdHdlbHZlZnMgdGVzdCBhdXRob3JpdHkwWTATBgcqhkjO
        PQIBBggqhkjOPQMBBwNCAATAU1/Lnyr9upnpcqt7jqTZKj74qfbEFt0d0qIbkFqj
        swvnSl8pU5RwcCZiHAIB1kokTtGUf0VxRsELE3qFkm79ozIwMDAPBgNVHRMBAf8E
        BTADAQH/MB0GA1UdDgQWBBQhPRLhefi+0VM6DhdRaOhLF7SMlTAKBggqhkjOPQQD
        AgNGADBDAiBPr0uIQsZqwn9Qd1VItIu4h21d6U6r+yMMPnq4ky3GCAIfQNDgD7lN
        xnALj8H95asyAtw6r6tI8qiukfMh3G1rmw==
        -----END CERTIFICATE-----
        """

    static let localhost = """
        -----BEGIN CERTIFICATE-----
        MIIBoDCCAUWgAwIBAgIBAjAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBd0d2VsdmVm
        cyB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
        MFowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
        QgAELbSyyOvkBtkj6sce1jt91ojUbLln57U3FmQh0H3r5yB5g2zXlLkyYHkvqzM0
        kZbyYrVkEH4IKA+K+hBEwIDcRKN4MHYwFAYDVR0RBA0wC4IJbG9jYWxob3N0MAkG
        A1UdEwQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFEYobpC3ofgh
        WIck0E4wKfNJQfW5MB8GA1UdIwQYMBaAFCE9EuF5+L7RUzoOF1Fo6EsXtIyVMAoG
        CCqGSM49BAMCA0kAMEYCIQDgDwzbtXvvCzezK+A8rJQ+EIdAQV39YSTTf4iAd/cy
        egIhAMJQOmNiEUUJhEy7iN1Zf0vps56EVhHhquZ4oMZ8Qd1i
        -----END CERTIFICATE-----
        """

    static let localhostKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg71koIQIxo/d3y3AV
        c3S4unT6J+gVTGAxDSpTOQFnNcahRANCAAQttLLI6+QG2SPqxx7WO33WiNRsuWfn
        tTcWZCHQfevnIHmDbNeUuTJgeS+rMzSRlvJitWQQfggoD4r6EETAgNxE
        -----END PRIVATE KEY-----
        """
}
