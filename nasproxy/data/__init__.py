"""Images and labels: named data sets, splits, augmentation."""
