import Testing
import UploadCore

@Suite struct UploadStateTests {
    @Test func isUnderWayUntilSomethingIsDecided() {
        #expect(UploadState.allCases.filter(\.isUnderWay) == [.open, .staged, .finishing])
    }

    @Test func readsTheWordsOfThePlatformAndKeepsUnknownOnes() {
        #expect(SessionState("active") == .active)
        #expect(SessionState("expired") == .expired)
        #expect(SessionState("paused") == .unknown("paused"))
        #expect(ChunkState("failed") == .failed)
        #expect(ChunkState("") == .unknown(""))
        for word in ["processing", "ready", "failed", "archived"] {
            #expect(AssetState(word).word == word)
        }
        #expect(AssetState("ready") == .ready)
    }
}
