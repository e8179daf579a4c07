import HTTPTypes
import HummingbirdCore
import NIOCore

/// What a request is answered with, before it is written to a connection.
struct SandboxAnswer: Sendable {
    enum Body: Sendable {
        case empty
        case json(SandboxJSON)
        case bytes(ByteBuffer)
        /// A range of an asset's bytes.
        case content(AssetContent, Range<Int64>)
        /// As `content`, but only its head: the answer to HEAD.
        case contentHead(length: Int64)
        /// Spaces without end.
        case endless
    }

    var status: Int
    var headers: [(name: String, value: String)] = []
    var body: Body = .empty
    /// Half of the body is sent, then the connection ends.
    var isCutShort = false

    static func json(_ value: SandboxJSON, status: Int = 200) -> SandboxAnswer {
        SandboxAnswer(status: status, headers: [("Content-Type", "application/json")], body: .json(value))
    }

    /// What some proxy in between would say.
    static var html: SandboxAnswer {
        let page = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please sign in.</body></html>\n"
        return SandboxAnswer(
            status: 200, headers: [("Content-Type", "text/html")], body: .bytes(ByteBuffer(string: page)))
    }

    /// The answer with its body as bytes; an asset's content stays as it is.
    func materialized() throws -> SandboxAnswer {
        guard case .json(let value) = body else { return self }
        var answer = self
        answer.body = .bytes(ByteBuffer(bytes: try value.encoded()))
        return answer
    }

    /// The first half of the body, as if that were all. A body without bytes stays as it is.
    func cutOff() throws -> SandboxAnswer {
        var answer = try materialized()
        if case .bytes(var buffer) = answer.body {
            answer.body = .bytes(buffer.readSlice(length: buffer.readableBytes / 2) ?? ByteBuffer())
        }
        return answer
    }

    /// The answer with another field in its JSON, or, where the body is no object, another header. Nil removes it.
    func replacing(_ name: String, with value: SandboxJSON?) -> SandboxAnswer {
        var answer = self
        if case .json(.object(var members)) = body {
            members[name] = value
            answer.body = .json(.object(members))
        } else {
            answer.headers.removeAll { $0.name.lowercased() == name.lowercased() }
            if let value {
                let text = value.string ?? String(decoding: (try? value.encoded()) ?? [], as: UTF8.self)
                answer.headers.append((name, text))
            }
        }
        return answer
    }

    /// The header's value; nil when there is none of that name.
    func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }

    /// Adds a header, unless there is one of that name.
    mutating func addHeader(_ name: String, _ value: String) {
        if header(name) == nil { headers.append((name, value)) }
    }

    /// Bytes that the body has; nil for one without end.
    var contentLength: Int64? {
        get throws {
            switch body {
            case .empty: 0
            case .json(let value): Int64(try value.encoded().count)
            case .bytes(let buffer): Int64(buffer.readableBytes)
            case .content(_, let range): Int64(range.count)
            case .contentHead(let length): length
            case .endless: nil
            }
        }
    }

    /// Status and headers as they are sent.
    func head(date: String) throws -> HTTPResponse {
        var fields = HTTPFields()
        for (name, value) in headers {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        fields[.date] = date
        fields[.server] = "twelvefs-sandbox"
        if status != 204, fields[.contentLength] == nil, let length = try contentLength {
            fields[.contentLength] = String(length)
        }
        return HTTPResponse(status: HTTPResponse.Status(code: status), headerFields: fields)
    }
}

extension ResponseWriter {
    /// Writes an answer whose body is in memory, or has none.
    consuming func send(_ answer: SandboxAnswer, date: String) async throws {
        let answer = try answer.materialized()
        let head = try answer.head(date: date)
        guard case .bytes(var buffer) = answer.body, buffer.readableBytes > 0 else {
            return try await writeResponse(head)
        }
        guard answer.isCutShort else { return try await write(response: head, body: ResponseBody(byteBuffer: buffer)) }
        var writer = try await writeHead(head)
        try await writer.write(buffer.readSlice(length: buffer.readableBytes / 2) ?? ByteBuffer())
    }

    /// Writes an answer whose body is made while it is sent.
    /// - Parameter onLastByte: called with the number of bytes of the body before the last of them are sent.
    consuming func stream(_ answer: SandboxAnswer, date: String, onLastByte: (Int64?) -> Void) async throws {
        var writer = try await writeHead(try answer.head(date: date))
        switch answer.body {
        case .content(let content, let range):
            var offset = range.lowerBound
            let end = answer.isCutShort ? range.lowerBound + Int64(range.count / 2) : range.upperBound
            while offset < end {
                let buffer = try await content.read(at: offset, upTo: end - offset)
                offset += Int64(buffer.readableBytes)
                if offset == end { onLastByte(end - range.lowerBound) }
                try await writer.write(buffer)
            }
            if !answer.isCutShort { try await writer.finish(nil) }
        case .endless:
            let spaces = ByteBuffer(repeating: 32, count: 64 << 10)
            while true {
                try Task.checkCancellation()
                try await writer.write(spaces)
            }
        case .empty, .json, .bytes, .contentHead:
            onLastByte(nil)
            try await writer.finish(nil)
        }
    }
}
