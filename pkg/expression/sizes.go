package expression

import (
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/types"
)

// sizes are what the estimate of a cost takes variables for. What an expression
// is run on may be larger; the run is then ended by its bound, and has failed.
type sizes struct{}

const (
	maxText  = 1000 // characters of a text
	maxItems = 100  // items of a list or a map
)

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	most := uint64(maxItems)
	switch element.Type().Kind() {
	case types.StringKind, types.BytesKind:
		most = maxText
	case types.DynKind:
		most = maxText // a text, at its largest
	}
	return &checker.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost implements checker.CostEstimator: all functions cost what
// CEL says.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
