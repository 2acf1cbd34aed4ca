"""What every part shares and that knows none of them: settings, errors, image files, logging."""
