import Foundation
import Testing
import TwelveFSCommand

import struct TestSupport.ShownStatements

@Suite struct WaitTests {
    private func document(
        _ state: String, asset: String? = nil, assetError: String? = nil, error: String? = nil
    ) throws -> UploadDocument {
        var fields = ["\"state\":\"\(state)\""]
        if let asset { fields.append("\"asset_status\":\"\(asset)\"") }
        if let assetError { fields.append("\"asset_error\":\"\(assetError)\"") }
        if let error { fields.append("\"error\":{\"message\":\"\(error)\"}") }
        return try JSONDecoder().decode(UploadDocument.self, from: Data("{\(fields.joined(separator: ","))}".utf8))
    }

    @Test(arguments: ["open", "finishing", "staged", "something new"])
    func whatIsUnderWayIsWaitedFor(_ state: String) throws {
        #expect(try WaitVerdict(on: document(state), untilReady: false) == .notYet)
    }

    @Test func completedIsEnoughUnlessTheAssetIsToBeReady() throws {
        #expect(try WaitVerdict(on: document("completed", asset: "processing"), untilReady: false) == .arrived)
        #expect(try WaitVerdict(on: document("completed", asset: "processing"), untilReady: true) == .notYet)
        #expect(try WaitVerdict(on: document("completed"), untilReady: true) == .notYet)
        #expect(try WaitVerdict(on: document("completed", asset: "ready"), untilReady: true) == .arrived)
        #expect(try WaitVerdict(on: document("completed", asset: "failed"), untilReady: false) == .arrived)
        guard case .never = try WaitVerdict(on: document("completed", asset: "failed"), untilReady: true) else {
            Issue.record("an asset that failed will never be ready")
            return
        }
    }

    @Test(.shows("wait-ready")) func anAssetOfWhichNothingIsToldWillNotBeReady() throws {
        let unknown = try document("completed", asset: "unknown", assetError: "resource_not_exist: no such asset")
        #expect(WaitVerdict(on: unknown, untilReady: false) == .arrived)
        #expect(
            WaitVerdict(on: unknown, untilReady: true)
                == .never("the platform does not tell what became of it (resource_not_exist: no such asset)"))
        #expect(unknown.isSettled)
    }

    @Test(.shows("wait-ready")) func anAssetOfAnotherSizeIsNotTheFile() throws {
        let other = try document("completed", asset: "ready", assetError: "size_differs: 5 bytes")
        #expect(WaitVerdict(on: other, untilReady: false) == .arrived)
        #expect(WaitVerdict(on: other, untilReady: true) == .never("size_differs: 5 bytes"))
    }

    @Test(arguments: ["failed", "interrupted", "cancelled"])
    func whatEndedBadlySaysWhy(_ state: String) throws {
        #expect(try WaitVerdict(on: document(state, error: "as it was"), untilReady: false) == .never("as it was"))
        guard case .never = try WaitVerdict(on: document(state), untilReady: false) else {
            Issue.record("\(state) is an end")
            return
        }
    }

    @Test func aFileIsFoundByItsNameInTheInnermostMount() throws {
        let mounts = ["/mnt", "/mnt/a"]
        #expect(
            try UploadLocator.document(for: "/mnt/a/b c/v.mp4", mounts: mounts)
                == "/mnt/a/.status/by-name/b c/v.mp4.json")
        #expect(
            try UploadLocator.document(for: "/mnt/ab/v.mp4", mounts: mounts) == "/mnt/.status/by-name/ab/v.mp4.json")
        #expect(try UploadLocator.document(for: "/mnt/.status/x.json", mounts: mounts) == "/mnt/.status/x.json")
        #expect(throws: CommandFailure.self) { try UploadLocator.document(for: "/home/v.mp4", mounts: mounts) }
    }
}
