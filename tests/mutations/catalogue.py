"""Thirty-odd mistakes that somebody could make in this project, each with the check that must notice it."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """One mistake: the first match of `pattern` in `file` becomes `replacement`."""

    what: str  # in words
    file: str  # path in the repository
    pattern: str  # regular expression, "." matches line ends too
    replacement: str  # as in `re.sub`
    check: str  # the quickest test that must fail


NETWORK = (
    Mutation(
        "the crop of the contracting path's map is shifted by one pixel",
        "unet_paper/model.py",
        r"(top, left = excess_h // 2)",
        r"\1 + 1",
        "tests/test_model.py::test_the_crop_is_centred_and_comes_second",
    ),
    Mutation(
        "the cropped map comes before the upsampled one",
        "unet_paper/model.py",
        r"\[upsampled, centre\]",
        "[centre, upsampled]",
        "tests/test_model.py::test_the_crop_is_centred_and_comes_second",
    ),
    Mutation(
        "dropout acts at the deepest level only",
        "unet_paper/model.py",
        r"level >= self\.depth - 1",
        "level >= self.depth",
        "tests/test_model.py::test_dropout_acts_at_the_end_of_the_contracting_path",
    ),
    Mutation(
        "weights are drawn with standard deviation sqrt(1/N)",
        "unet_paper/model.py",
        r"math\.sqrt\(2 /",
        "math.sqrt(1 /",
        "tests/test_model.py::test_initial_weights_have_standard_deviation_sqrt_2_over_n",
    ),
    Mutation(
        "the border of the output is one pooled pixel too wide",
        "unet_paper/model.py",
        r"return 4 \* \(self\.stride - 1\)",
        "return 4 * self.stride",
        "tests/test_model.py::test_border_and_legal_sizes_agree_with_a_real_pass",
    ),
    Mutation(
        "mirroring repeats the edge pixel",
        "unet_paper/overlap_tile.py",
        r"% \(2 \* \(n - 1\)\)(.*?)2 \* \(n - 1\) - position",
        r"% (2 * n)\g<1>2 * n - 1 - position",
        "tests/test_overlap_tile.py::test_mirroring_does_not_repeat_the_edge_pixel",
    ),
    Mutation(
        "tiles start off the grid of the poolings",
        "unet_paper/overlap_tile.py",
        r"step = -\(-n // \(count \* net\.stride\)\) \* net\.stride",
        "step = -(-n // count)",
        "tests/test_overlap_tile.py::test_tiles_cover_every_pixel_once_on_the_pooling_grid",
    ),
)

TRAINING = (
    Mutation(
        "the sign in the exponent of Eq. 2 is flipped",
        "unet_paper/weight_maps.py",
        r"np\.exp\(-\(",
        "np.exp((",
        "tests/test_weight_maps.py::test_border_term_is_eq_2_along_a_line",
    ),
    Mutation(
        "the 2 below the exponent of Eq. 2 is lost",
        "unet_paper/weight_maps.py",
        r"\(2 \* sigma\*\*2\)",
        "(sigma**2)",
        "tests/test_weight_maps.py::test_border_term_is_eq_2_along_a_line",
    ),
    Mutation(
        "the second nearest cell may be the nearest once more",
        "unet_paper/weight_maps.py",
        r"elif distance < distances\[1\] and cell != cells\[0\]:",
        "elif distance < distances[1]:",
        "tests/test_weight_maps.py::test_second_nearest_is_another_cell_not_another_pixel",
    ),
    Mutation(
        "class weights are not divided by the number of classes",
        "unet_paper/weight_maps.py",
        r"\(len\(present\) \* members\.sum\(\)\)",
        "members.sum()",
        "tests/test_weight_maps.py::test_class_weights_by_hand",
    ),
    Mutation(
        "the border term acts inside of cells, too",
        "unet_paper/weight_maps.py",
        r"annotated if inside_cells else labels == NO_CELL",
        "annotated",
        "tests/test_weight_maps.py::test_border_term_acts_on_background_only_unless_asked",
    ),
    Mutation(
        "the loss forgets the weights of Eq. 1",
        "unet_paper/loss.py",
        r"\(weight \* each\)\.sum\(\)",
        "each.sum()",
        "tests/test_loss.py::test_equals_the_formula_of_the_paper",
    ),
    Mutation(
        "the mean of the loss counts ignored pixels",
        "unet_paper/loss.py",
        r"annotated = target != IGNORE",
        "annotated = target == target",
        "tests/test_loss.py::test_ignored_pixels_count_for_nothing_whatever_their_weight",
    ),
    Mutation(
        "the paper's momentum is 0.9",
        "unet_paper/training/config.py",
        r"momentum: float = 0\.99",
        "momentum: float = 0.9",
        "tests/training/test_config.py::test_the_paper_configuration_holds_the_constants_of_section_3",
    ),
    Mutation(
        "deformed tiles repeat the edge pixel",
        "unet_paper/augmentation.py",
        r"(period = 2\.0 \* )\((_sides\([^\n]*\)) - 1\)",
        r"\1\2",
        "tests/test_augmentation.py::test_mirroring_folds_as_often_as_needed",
    ),
    Mutation(
        "a rotation shears the picture",
        "unet_paper/augmentation.py",
        r"\+ \(sin \* x\)",
        "- (sin * x)",
        "tests/test_augmentation.py::test_distances_survive_rotation",
    ),
)

MEASURES = (
    Mutation(
        "the list of thresholds is cut in half",
        "unet_paper/metrics/maps.py",
        r"\[0\.1\] \* 10",
        "[0.1] * 5",
        "tests/metrics/test_em_scores.py::test_thresholds_are_sums_of_tenths",
    ),
    Mutation(
        "the threshold itself counts as cell",
        "unet_paper/metrics/maps.py",
        r"probability > np\.float64",
        "probability >= np.float64",
        "tests/metrics/test_em_scores.py::test_comparison_is_strict_and_in_64_bit",
    ),
    Mutation(
        "SEG matches a cell that is covered by exactly half",
        "unet_paper/metrics/cells.py",
        r"2 \* table\.pixels > own",
        "2 * table.pixels >= own",
        "tests/metrics/test_seg.py::test_exactly_half_is_no_match",
    ),
    Mutation(
        "the order of the classes is reversed",
        "unet_paper/cells.py",
        r"return probability\[1\]",
        "return probability[0]",
        "tests/test_cells.py::test_a_stack_of_classes_gives_class_1",
    ),
    Mutation(
        "components of 500 px are kept",
        "unet_paper/cells.py",
        r"MIN_SIZE = 500",
        "MIN_SIZE = 499",
        "tests/test_cells.py::test_cells_of_500_px_are_dropped_and_of_501_kept",
    ),
)

EVIDENCE = (
    Mutation(
        "the two sequences of a fold are swapped",
        "unet_paper/experiments/plan.py",
        r"\(\[\(1, 0, 1\)\], \[\(2, 0, 1\)\]\)",
        "([(2, 0, 1)], [(1, 0, 1)])",
        "tests/test_experiments.py::test_sequence_folds_swap_the_sequences",
    ),
    Mutation(
        "a fold of the EM sections trains on one that it holds out",
        "unet_paper/experiments/plan.py",
        r"range\(EM_BLOCK \* fold, EM_BLOCK \* \(fold \+ 1\)\)",
        "range(EM_BLOCK * fold + 1, EM_BLOCK * (fold + 1))",
        "tests/test_experiments.py::test_em_folds_hold_out_contiguous_blocks_that_cover_the_stack",
    ),
    Mutation(
        "a score in a record is edited by hand",
        "data/results/u373-narrow-fold0.json",
        r'("seg": 0\.)\d',
        r"\g<1>95",
        "tests/test_experiments.py::test_published_networks_state_the_scores_of_their_record[u373]",
    ),
    Mutation(
        "a setting in a record is not the experiment's",
        "data/results/em-narrow-fold4.json",
        r'("steps": \d+)',
        r"\g<1>0",
        "tests/test_experiments.py::test_records_in_the_book_belong_to_experiments_that_can_be_run_again",
    ),
    Mutation(
        "a score on the page of a trained network is edited by hand",
        "data/models/u373.md",
        r"(\n\| none \| 0\.)\d",
        r"\g<1>95",
        "tests/networks/test_library.py::test_every_published_network_fits_its_page_and_predicts",
    ),
    Mutation(
        "a file in the lock loses its hash",
        "requirements.lock",
        r"(==[^\n]*) \\\n    --hash=sha256:\w+( \\\n    --hash=sha256:\w+)*",
        r"\1",
        "tests/test_bootstrap.py::test_every_file_of_the_lock_has_a_hash_and_pytorch_stands_apart",
    ),
)

BOOK = (
    Mutation(
        "a number in a chapter is another",
        "book/architecture.md",
        r"makes 23 convolutional",
        "makes 24 convolutional",
        "tests/chapters/test_sources.py::test_numbers_quoted_from_the_paper_are_those_of_the_code",
    ),
    Mutation(
        "a page is removed from the table of contents",
        "_toc.yml",
        r"      - file: book/overlap_tile\.md\n",
        "",
        "tests/chapters/test_sources.py::test_every_text_has_its_place_in_the_table_of_contents",
    ),
    Mutation(
        "a cell of a chapter is emptied",
        "book/architecture.md",
        r"(```\{code-cell\} ipython3\n(?::tags: [^\n]*\n\n)?)[^-:][^`]*```",
        r"\1```",
        "tests/chapters/test_sources.py::test_no_cell_is_empty[architecture]",
    ),
    Mutation(
        "a number is no longer glued",
        "book/overlap_tile.md",
        r'\nglue\("[^\n]*',
        "",
        "tests/chapters/test_sources.py::test_every_number_in_the_prose_is_glued[overlap_tile]",
    ),
    Mutation(
        "a figure loses its alternative text",
        "book/overlap_tile.md",
        r"    alt: >-\n",
        "    width: >-\n",
        "tests/chapters/test_sources.py::test_every_figure_has_a_text_for_those_who_cannot_see_it[overlap_tile]",
    ),
    Mutation(
        "a link leads to a page that does not exist",
        "book/intro.md",
        r"\]\(data\.md\)",
        "](dates.md)",
        "tests/chapters/test_sources.py::test_every_link_and_reference_leads_somewhere[intro]",
    ),
    Mutation(
        "a reference names a figure that does not exist",
        "book/architecture.md",
        r"\{numref\}`fig-totals`",
        "{numref}`fig-total`",
        "tests/chapters/test_sources.py::test_every_link_and_reference_leads_somewhere[architecture]",
    ),
    Mutation(
        "a work is cited that the bibliography lacks",
        "book/architecture.md",
        r"\{cite\}`jia2014caffe`",
        "{cite}`jia2015caffe`",
        "tests/chapters/test_sources.py::test_every_citation_stands_in_the_bibliography[architecture]",
    ),
    Mutation(
        "the list of departures forgets a file",
        "book/deviations.md",
        r"unet_paper/cells\.py",
        "unet_paper/tiles.py",
        "tests/chapters/test_deviations.py::test_the_appendix_names_every_file_with_a_departure",
    ),
)

MUTATIONS = (*NETWORK, *TRAINING, *MEASURES, *EVIDENCE, *BOOK)
