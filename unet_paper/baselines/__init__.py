"""What the U-Net is compared with: the methods before it (section 1), and the padded network that came after."""
