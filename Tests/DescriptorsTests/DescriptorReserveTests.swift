import Descriptors
import Testing

/// Who may take the last descriptors.
struct DescriptorReserveTests {
    @Test(
        arguments: [
            (64, 39, [.watch, .spool, .look]), (64, 40, [.spool, .look]), (64, 47, [.spool, .look]), (64, 48, [.look]),
            (64, 59, [.look]), (64, 60, []), (64, 63, []),
            (1024, 975, [.watch, .spool, .look]), (1024, 976, [.spool, .look]), (1024, 992, [.look]), (1024, 1016, []),
        ] as [(Int, Int32, [DescriptorReserve.Use])])
    func theLastOnesAreNotForEverything(limit: Int, number: Int32, uses: [DescriptorReserve.Use]) {
        let reserve = DescriptorReserve { limit }
        #expect(DescriptorReserve.Use.allCases.filter { reserve.allows(number, for: $0) } == uses)
    }

    @Test(arguments: DescriptorReserve.Use.allCases)
    func theNextOneIsAskedForOfTheKernel(use: DescriptorReserve.Use) {
        #expect(DescriptorReserve { 1_000_000 }.allowsAnother(for: use))
        // Those of standard input, output and errors are taken in every test run.
        #expect(!DescriptorReserve { 2 }.allowsAnother(for: use))
    }
}
