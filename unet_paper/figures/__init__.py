"""Drawing: every figure of the book, from arrays that other modules computed. Nothing is computed here."""

from unet_paper.figures.style import COLOURS, show_image, use_book_style

__all__ = ["COLOURS", "show_image", "use_book_style"]
